"""What a person sees of work that takes its time: on a terminal how far it is, elsewhere nothing but the result."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import adapt_core
from adapt_core.cli.app import command_line
from adapt_core.terminal.progress import Progress, shown_by

ROWS, BATCH = 64, 16
"""Rows that the toy task evaluates on, and those of a batch."""

TEXTS = ("[3, 4, 5]", "[90, 91, 92]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def run(toy: dict[str, Any], no_reload: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that evaluates in batches."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    training = {**toy["training"], "max_steps": 2, "batch_size": 64, "eval_batch_size": BATCH}
    adapt_core.run({**toy, "training": training, "output_dir": str(folder)})
    return folder


def on_a_terminal(*arguments: str) -> str:
    """What a command shows on a terminal, beside the results that it prints."""
    screen = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", screen)
        patch.setenv("TERM", "xterm")
        assert command_line(list(arguments)) == 0
    return screen.getvalue()


def test_an_evaluation_shows_its_stages(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = on_a_terminal("eval", str(run), "--json")
    assert json.loads(capsys.readouterr().out)["rows"] == ROWS
    assert shown.index("Loading the model") < shown.index("Loading the data") < shown.index("Batches evaluated")


def test_predictions_are_counted_but_not_between_lines_that_are_printed(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Rows predicted" in on_a_terminal("predict", str(run), *TEXTS, "--json")
    assert len(json.loads(capsys.readouterr().out)) == len(TEXTS)
    assert on_a_terminal("predict", str(run), *TEXTS, "--jsonl") == ""
    assert len(capsys.readouterr().out.splitlines()) == len(TEXTS)


def test_data_are_read_in_sight(toy_config: Any, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps(toy_config()))
    assert "Loading the data" in on_a_terminal("data", str(file))


def test_nothing_is_said_where_nobody_watches(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["predict", str(run), *TEXTS, "--json"]) == 0
    assert command_line(["eval", str(run)]) == 0
    assert capsys.readouterr().err == ""


class Counts(Progress):
    """Writes down what is counted: what, of how many, and how many were through after each."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[int, list[int]]] = {}

    @contextmanager
    def counting(self, text: str, total: int) -> Iterator[Callable[[int], None]]:
        self.found[text] = (total, [])
        yield self.found[text][1].append


def test_every_batch_and_every_row_counts_once(run: Path) -> None:
    counts = Counts()
    with shown_by(counts):
        adapt_core.evaluate_run(run)
        adapt_core.load_run(run).predict(TEXTS)
    batches = ROWS // BATCH
    assert counts.found == {
        "Batches evaluated": (batches, list(range(1, batches + 1))),
        "Rows predicted": (len(TEXTS), list(range(1, len(TEXTS) + 1))),
    }
