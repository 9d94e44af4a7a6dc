"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import click

from adapt_core.errors import UsageError


@contextmanager
def libraries_print_to_stderr() -> Iterator[None]:
    """Keeps standard output for results: within it, what a library prints goes to standard error."""
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def at_work(*, shown: bool = True) -> Iterator[None]:
    """Keeps standard output for results, and shows on a terminal how far the work is; elsewhere nothing is said.

    Args:
        shown: False where results are printed while the work goes on.
    """
    with libraries_print_to_stderr():
        if not shown or not sys.stderr.isatty():
            yield
            return
        from adapt_core.terminal.progress import progress_for, shown_by

        with shown_by(progress_for()):
            yield


def print_json(value: Any) -> None:
    """Prints one JSON document on stdout."""
    from adapt_core.utils.files import to_json

    click.echo(to_json(value))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table on stdout: fitted to a terminal; elsewhere plain, one line a row, nothing cut off."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        Console(highlight=False).print(table)
        return
    widths = [max(len(row[index]) for row in (columns, *rows)) for index in range(len(columns))]
    for row in (columns, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def require_new(file: str) -> None:
    """Before any work is done for it: raises UsageError for a file that exists, or has no folder to be written in."""
    path = Path(file)
    if path.exists():
        raise UsageError(f"{file} exists and is not overwritten", "Name another file, or remove it first.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{file} cannot be written: there is no folder {path.parent}", "Make it first.")


def write_new(text: str, file: str | None) -> None:
    """Writes text to a file that does not exist yet, or to stdout where none is named, or ``-``.

    Raises:
        UsageError: the file exists, or cannot be written.
    """
    if file is None or file == "-":
        click.echo(text, nl=False)
        return
    try:
        with Path(file).open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(f"{file} exists and is not overwritten", "Name another file, or remove it first.") from error
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
    click.echo(f"wrote {file}", err=True)


def metric_rows(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Metrics as rows of a table."""
    from adapt_core.utils.units import number_text

    return [
        (name, number_text(value) if isinstance(value, int | float) else str(value)) for name, value in metrics.items()
    ]
