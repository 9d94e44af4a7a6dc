"""``adapt predict``: predictions of the model that a finished run saved."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapt_core.cli.arguments import FILE, json_option
from adapt_core.cli.output import at_work, print_json, print_table, require_new, write_new
from adapt_core.errors import UsageError

if TYPE_CHECKING:
    Predictions = Sequence[dict[str, Any]]


@click.command()
@click.argument("run", type=click.Path(file_okay=False))
@click.argument("text", nargs=-1)
@click.option(
    "--input",
    "--data",
    "file",
    metavar="PATH",
    type=click.Path(allow_dash=True),
    help="Predict for the rows of this file, or for a folder where the task takes one; - reads one text a line from "
    "standard input.",
)
@click.option("--output", type=FILE, help="Write to this new file: .csv, .jsonl or .json.")
@click.option(
    "-O", "--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of predicting, such as "
    "max_new_tokens=50: adapt explain task NAME lists them."
)  # fmt: skip
@click.option("--jsonl", "as_lines", is_flag=True, help="Print JSON lines, each as soon as it is there.")
@json_option
def predict(
    run: str,
    text: tuple[str, ...],
    file: str | None,
    output: str | None,
    options: tuple[str, ...],
    as_lines: bool,
    as_json: bool,
) -> None:
    """Predict with the model that the finished run in the folder RUN saved, for each TEXT or the rows of a file."""
    if bool(text) == bool(file):
        raise UsageError("Give either texts or --input FILE.")
    if as_lines and as_json:
        raise UsageError("Give either --jsonl or --json.")
    to_text = _format_of(output) if output else None
    from adapt_core import api
    from adapt_core.config.file import parse_overrides

    asked = parse_overrides(options).data
    if file == "-":
        text, file = tuple(line.rstrip("\n") for line in sys.stdin if line.strip()), None
        if not text:
            raise UsageError("There is nothing on standard input.", "Write one text a line.")
    out = sys.stdout
    with at_work(shown=not as_lines):
        loaded = api.load_run(run)
        found = loaded.predictions(loaded.parse_inputs(text, Path(file) if file else None), **asked)
        predictions = []
        for prediction in found:
            predictions.append(prediction)
            if as_lines:
                click.echo(to_json_lines([prediction]), file=out, nl=False)
    if output and to_text:
        write_new(to_text(predictions), output)
    if as_json:
        print_json(predictions)
    elif not output and not as_lines:
        rows = [flat_row(prediction, nested=False) for prediction in predictions]
        print_table(columns_of(rows), [[cell(row.get(column)) for column in columns_of(rows)] for row in rows])


def _format_of(output: str) -> Callable[[Predictions], str]:
    """How to write a file of this name. Raises UsageError before any work is done for nothing."""
    formats = {".csv": to_csv, ".jsonl": to_json_lines, ".json": to_json_list}
    if Path(output).suffix not in formats:
        raise UsageError(f"{output} is no name for predictions", f"End it in {', '.join(formats)}.")
    require_new(output)
    return formats[Path(output).suffix]


def to_csv(predictions: Predictions) -> str:
    """One line a prediction; what is nested becomes columns of its own (``scores.positive``)."""
    import csv
    import io

    rows = [flat_row(prediction, nested=True) for prediction in predictions]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns_of(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_json_lines(predictions: Predictions) -> str:
    """One JSON object a line."""
    from adapt_core.utils.files import to_json

    return "".join(f"{to_json(prediction, indent=None)}\n" for prediction in predictions)


def to_json_list(predictions: Predictions) -> str:
    """One JSON list."""
    from adapt_core.utils.files import to_json

    return to_json(predictions) + "\n"


def flat_row(prediction: dict[str, Any], *, nested: bool) -> dict[str, Any]:
    """A prediction without nesting: inner mappings become dotted keys, or are left out."""
    row: dict[str, Any] = {}
    for key, value in prediction.items():
        if not isinstance(value, dict):
            row[key] = value
        elif nested:
            row |= {f"{key}.{inner}": each for inner, each in value.items()}
    return row


def columns_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Every key of the rows, in the order in which they first come."""
    return list(dict.fromkeys(key for row in rows for key in row))


def cell(value: Any) -> str:
    """A value in a table."""
    from adapt_core.utils.units import number_text

    if isinstance(value, float):
        return number_text(value)
    return "" if value is None else str(value).replace("\n", " ")
