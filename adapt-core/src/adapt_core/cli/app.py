"""The group of commands, imported one by one when they are used, and the way every command ends."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

import adapt_core
from adapt_core.errors import EXIT_FAILED, EXIT_INTERRUPTED, AdaptError

COMMANDS = {
    "plugins": "adapt_core.cli.plugins:plugins",
    "explain": "adapt_core.cli.explain:explain",
    "init": "adapt_core.cli.init:init",
    "check": "adapt_core.cli.check:check",
    "data": "adapt_core.cli.data:data",
    "convert": "adapt_core.cli.convert:convert",
    "schema": "adapt_core.cli.schema:schema",
    "run": "adapt_core.cli.run:run",
    "launch-command": "adapt_core.cli.launch_command:launch_command",
    "eval": "adapt_core.cli.evaluate:evaluate",
    "predict": "adapt_core.cli.predict:predict",
    "merge": "adapt_core.cli.merge:merge",
    "doctor": "adapt_core.cli.doctor:doctor",
    "new-plugin": "adapt_core.cli.new_plugin:new_plugin",
}
"""In the order in which a newcomer meets them."""

EPILOGUE = """\
Start with: adapt plugins task, adapt init TASK -o run.yaml, adapt check run.yaml, adapt run run.yaml.

\b
Shell completion, for the shell's start-up file:
  bash  eval "$(_ADAPT_COMPLETE=bash_source adapt)"
  zsh   eval "$(_ADAPT_COMPLETE=zsh_source adapt)"
  fish  _ADAPT_COMPLETE=fish_source adapt | source

Exit codes: 0 done, 1 the run failed, 2 wrong command line or configuration, 130 interrupted.
"""


class Settings:
    """What holds for the whole command line; click's context object."""

    verbose = False


class Commands(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        if not any(parameter.name == "verbose" for parameter in command.params):
            command.params.append(_verbose_option())
        return command


def _set_verbose(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_object(Settings).verbose = True  # type: ignore[union-attr]


def _verbose_option() -> click.Option:
    """``--verbose``, which is accepted before and after the command's name."""
    return click.Option(
        ["--verbose"],
        is_flag=True,
        expose_value=False,
        callback=_set_verbose,
        help="Show the traceback of an error.",
    )


app = Commands(
    "adapt",
    params=[_verbose_option()],
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Fine-tunes any supported model with any supported method from one configuration file.",
    epilog=EPILOGUE,
)
click.version_option(adapt_core.__version__, prog_name="adapt")(app)


def command_line(arguments: Sequence[str]) -> int:
    """Runs one command line: 0 done, 1 failed, 2 wrong command line or configuration, 130 interrupted."""
    settings = Settings()
    try:
        code: int = app.main(list(arguments), prog_name="adapt", standalone_mode=False, obj=settings) or 0
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except AdaptError as error:
        label = "Interrupted" if error.exit_code == EXIT_INTERRUPTED else "Error"
        _show(label, error.message, error.hint, settings, error)
        code = error.exit_code
    except BrokenPipeError:
        # The reader (head, less) has seen enough. What is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILED
    # Broad: the last stop. Whatever else comes is a bug, which a person must be able to report.
    except Exception as error:  # noqa: BLE001
        code = _end_unexpectedly(error, settings)
    return code


def _end_unexpectedly(error: Exception, settings: Settings) -> int:
    """Says what happened, and returns the exit code."""
    # click turns Ctrl-C into Abort, and EOFError too, which for us is a file cut short like any other bug.
    cause = error.__cause__ if isinstance(error, click.Abort) else error
    if not isinstance(cause, Exception):
        return EXIT_INTERRUPTED
    if isinstance(cause, OSError):
        _show("Error", f"{type(cause).__name__}: {cause}", "The system refused this.", settings, cause)
        return EXIT_FAILED
    hint = "This is a bug in Adapt or in a plugin."
    hint += "" if settings.verbose else " Repeat the command with --verbose for the traceback, and report it."
    _show("Error", f"{type(cause).__name__}: {cause}", hint, settings, cause)
    return EXIT_FAILED


def _show(label: str, message: str, hint: str, settings: Settings, error: Exception) -> None:
    """Prints an error for people on stderr."""
    from rich.console import Console
    from rich.text import Text

    if settings.verbose:
        import traceback

        traceback.print_exception(error)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(Text.assemble((f"{label}: ", "bold red"), message))
    if hint:
        console.print(Text(hint, style="dim"))
