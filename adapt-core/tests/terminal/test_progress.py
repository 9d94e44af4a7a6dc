"""What a person sees during a run."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from adapt_core.bundles import Section
from adapt_core.terminal import progress as module
from adapt_core.terminal.progress import PlainProgress, Progress, TerminalProgress, progress_for, values_text
from adapt_core.terminal.tables import print_sections
from adapt_core.utils.units import bytes_text, number_text, seconds_text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Time that a test moves by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_lines_say_step_epoch_loss_rate_and_remaining_time(clock: Clock, stream: io.StringIO) -> None:
    told = progress_for(stream)
    told.start(600, 2.0)
    clock.now += 13.0
    told.advance(100)
    told.log(100, {"step": 100, "loss": 0.53126, "learning_rate": 9.8e-5, "epoch": 1 / 3})
    told.log(600, {"step": 600, "eval_loss": 0.4, "eval_accuracy": 0.8125, "epoch": 2.0})
    told.stop()
    assert stream.getvalue().splitlines() == [
        "Training: 600 steps, 2 epochs",
        "step 100/600, epoch 0.33, loss 0.5313, lr 9.8e-05, 1 min 05 s left",
        "step 600/600, epoch 2.00, eval loss 0.4, eval accuracy 0.8125",
    ]


def test_the_remaining_time_of_a_resumed_run_is_from_its_own_speed(clock: Clock, stream: io.StringIO) -> None:
    told = progress_for(stream)
    told.start(600, 2.0, 500)
    clock.now += 5.0
    told.log(550, {"loss": 1.0})
    assert stream.getvalue().splitlines() == [
        "Training: 600 steps, 2 epochs, going on after step 500",
        "step 550/600, loss 1, 5 s left",
    ]


def test_a_stage_says_that_it_goes_on_and_how_long_it_took(clock: Clock, stream: io.StringIO) -> None:
    told = progress_for(stream)
    with told.stage("Loading the data"):
        clock.now += 2.04
    assert stream.getvalue().splitlines() == ["Loading the data …", "Loading the data: 2.0 s"]


def test_a_stage_that_fails_is_not_said_to_be_done(stream: io.StringIO) -> None:
    with pytest.raises(RuntimeError), progress_for(stream).stage("Loading the data"):
        raise RuntimeError
    assert stream.getvalue().splitlines() == ["Loading the data …"]


def test_without_a_terminal_there_is_no_control_character(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    everything(progress_for(stream))
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f]", stream.getvalue()) is None
    assert "a [bold]fine[/bold] film" in stream.getvalue()


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress_for(Terminal()), PlainProgress)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(progress_for(Terminal()), TerminalProgress)


def test_a_terminal_gets_a_bar_with_elapsed_and_remaining_time(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    terminal = Terminal()
    told = progress_for(terminal)
    assert isinstance(told, TerminalProgress)
    told.start(600, 2.0)
    clock.now += 13.0
    told.log(100, {"loss": 0.53126, "learning_rate": 9.8e-5, "epoch": 1 / 3})
    told._display.refresh()
    told.log(100, {"eval_accuracy": 0.8125})
    told.stop()
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    assert "100/600 · 13 s, 1 min 05 s left · epoch 0.33, loss 0.5313, lr 9.8e-05" in shown
    assert "step 100: eval accuracy 0.8125" in shown
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l"), "the cursor is back"


def test_texts_are_never_taken_for_markup_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    everything(progress_for(terminal))
    assert terminal.getvalue().count("[bold]") >= 3
    assert "[/oops]" in terminal.getvalue()


def test_the_other_processes_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    told = progress_for(quiet=True)
    assert type(told) is Progress
    everything(told)
    assert capsys.readouterr() == ("", "")


def test_nothing_is_written_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    everything(progress_for())
    out, err = capsys.readouterr()
    assert out == ""
    assert "Training: 10 steps" in err


def everything(told: Progress) -> None:
    with told.stage("Loading [bold]"):
        pass
    rows = [["good", "a [bold]fine[/bold] film"], ["[/oops]", "dull"]]
    told.show([Section("What the model sees", "table", ["label", "text"], rows)])
    told.parameters({"total": 100, "trainable": 5})
    told.start(10, 1.0)
    told.advance(5)
    told.log(5, {"loss": float("nan"), "epoch": 0.5})
    told.notice("Careful with [bold].")
    told.stop()
    told.stop()


def test_values_that_are_no_number_have_a_word() -> None:
    assert values_text({"loss": float("nan"), "eval_loss": None}) == "loss not a number, eval loss none"


def test_a_large_matrix_is_left_to_the_report(stream: io.StringIO) -> None:
    names = [str(number) for number in range(77)]
    console = Console(file=stream, width=100)
    print_sections([Section("Confusion", "matrix", names, [[0] * 77] * 77)], console)
    assert stream.getvalue().strip() == "Confusion: 77 × 77, see the report"


def test_a_small_matrix_names_its_rows_and_columns(stream: io.StringIO) -> None:
    print_sections(
        [Section("Confusion", "matrix", ["bad", "good"], [[50, 3], [2, 60]])], Console(file=stream, width=60)
    )
    lines = [line.split() for line in stream.getvalue().splitlines()]
    assert ["true", "↓", "predicted", "→", "bad", "good"] in lines
    assert ["bad", "50", "3"] in lines
    assert ["good", "2", "60"] in lines


@pytest.mark.parametrize(
    "seconds, text",
    [(0, "0.0 s"), (0.26, "0.3 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (65, "1 min 05 s"), (3599.7, "1 h 00 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    "count, text",
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (999_700, "1.0 MB"), (250e6, "250 MB"), (2e13, "20.0 TB")],
)
def test_sizes(count: float, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    "value, text",
    [(22_713_216, "22,713,216"), (0.77834, "0.7783"), (5e-5, "5e-05"), (12345.6, "12,346"), (2.0, "2"), (-0.5, "-0.5")],
)
def test_numbers(value: float, text: str) -> None:
    assert number_text(value) == text


def test_no_bar_of_a_library_is_drawn_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    """PEFT's FRoD draws one while it decomposes weights."""
    from adapt_core import apply_method
    from adapt_core.testing import MODELS

    apply_method(MODELS["encoder"].seeded(), "frod")
    assert "decomposition" not in capfd.readouterr().err
