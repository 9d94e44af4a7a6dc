"""How every command starts, ends and fails."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest
from cli_runner import adapt

import adapt_core.cli
from adapt_core.cli.app import COMMANDS
from adapt_core.cli.output import print_table
from adapt_core.errors import AdaptError, Interrupted, UsageError

SCRIPT = Path(sys.executable).parent / "adapt"


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A command ``fail`` that raises what the test puts into its module."""
    module = ModuleType("failing_command")

    @click.command()
    def fail() -> None:
        """Fails."""
        raise module.error

    module.fail = fail
    monkeypatch.setitem(sys.modules, "failing_command", module)
    monkeypatch.setitem(COMMANDS, "fail", "failing_command:fail")
    return module


def test_the_console_script_is_installed_and_shows_help() -> None:
    done = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: adapt ")
    assert done.stderr == ""


def test_only_what_imports_no_torch_does_without_collecting_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    without = []
    for command in COMMANDS:
        monkeypatch.setattr("sys.argv", ["adapt", "--verbose", command, "--help"])
        monkeypatch.setattr("gc.disable", lambda command=command: without.append(command))
        monkeypatch.setattr("os._exit", sys.exit)
        with pytest.raises(SystemExit) as ended:
            adapt_core.cli.main()
        assert ended.value.code == 0
    assert set(COMMANDS) - set(without) == {"data", "run", "eval", "predict", "merge", "doctor", "launch-command"}


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_command_has_help(flag: str, command: str | None) -> None:
    done = adapt(*([command] if command else []), flag)
    assert done.code == 0
    assert "--help" in done.out
    assert "--verbose" in done.out
    assert done.err == ""


def test_help_lists_every_command_and_how_to_complete_in_a_shell() -> None:
    text = adapt("--help").out
    for command in COMMANDS:
        assert f"\n  {command} " in text
    assert 'eval "$(_ADAPT_COMPLETE=bash_source adapt)"' in text


def test_the_version_is_the_package_s() -> None:
    import adapt_core

    assert adapt("--version").out.strip() == f"adapt, version {adapt_core.__version__}"


@pytest.mark.parametrize("args", [("nonsense",), ("plugins", "nonsense"), ("plugins", "--nonsense"), ("explain",)])
def test_a_wrong_command_line_ends_with_2(args: tuple[str, ...]) -> None:
    done = adapt(*args)
    assert done.code == 2
    assert "Usage: adapt" in done.err
    assert done.out == ""


@pytest.mark.parametrize(("error", "code"), [(AdaptError, 1), (UsageError, 2), (Interrupted, 130)])
def test_our_errors_end_with_their_exit_code_and_no_traceback(
    failing: ModuleType, error: type[AdaptError], code: int
) -> None:
    failing.error = error("what is [bold]wrong[/bold]", "what to do")
    done = adapt("fail")
    assert done.code == code
    label = "Interrupted" if code == 130 else "Error"
    assert done.err == f"{label}: what is [bold]wrong[/bold]\nwhat to do\n"
    assert done.out == ""


def test_a_long_error_is_not_broken_into_lines_where_nobody_reads_it_on_a_terminal(failing: ModuleType) -> None:
    failing.error = AdaptError("/a/long/path/" * 30)
    assert adapt("fail").err == f"Error: {'/a/long/path/' * 30}\n"


@pytest.mark.parametrize("args", [("--verbose", "fail"), ("fail", "--verbose")])
def test_verbose_adds_the_traceback(failing: ModuleType, args: tuple[str, ...]) -> None:
    failing.error = AdaptError("what is wrong")
    done = adapt(*args)
    assert "Traceback (most recent call last)" in done.err
    assert "raise module.error" in done.err
    assert done.err.endswith("Error: what is wrong\n")


@pytest.mark.parametrize("error", [ValueError("odd"), EOFError("odd")])
def test_an_unexpected_error_is_called_a_bug(failing: ModuleType, error: Exception) -> None:
    failing.error = error
    done = adapt("fail")
    assert done.code == 1
    assert done.err.strip().startswith(f"Error: {type(error).__name__}: odd\nThis is a bug")
    assert "--verbose" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in adapt("fail", "--verbose").err


def test_control_c_ends_with_130(failing: ModuleType) -> None:
    failing.error = KeyboardInterrupt()
    done = adapt("fail")
    assert done.code == 130
    assert "Error" not in done.err


def test_output_into_a_closed_pipe_is_no_error_message() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([SCRIPT, "plugins", "--json"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [60, 200])
def test_a_table_is_fitted_to_a_terminal_and_loses_nothing(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(("name", "meaning"), [("[b]one[/b]", "a long text " * 10), ("two", "[red]short[/red]")])
    text = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert max(map(len, text.splitlines())) <= width
    assert text.count("long") == 10
    assert "[b]one[/b]" in text
    assert "[red]short[/red]" in text
