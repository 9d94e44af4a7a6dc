"""What to answer: questions with their contexts from the command line, or the rows of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.data.columns import read_strings
from adapt_nlp.data.files import file_format, read_file
from adapt_nlp.data.inputs import arguments
from adapt_nlp.data.table import Table
from adapt_nlp.question_answering.questions import SQUAD, flattened


def read_inputs(texts: Sequence[str], file: Path | None, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows to answer: first those of the command line, then the file's.

    Args:
        texts: each a JSON object with the run's columns of the question and the context.
        file: with these columns, or SQuAD's nested JSON; answers are not needed.
        columns: ``columns`` of the run's ``data.json``.

    Returns:
        ``{"question": …, "context": …}``, and ``columns`` with everything else that the row held where it came from a
        file.

    Raises:
        UsageError: nothing to answer, or a column is missing.
        AdaptError: a question or a context is empty or not text; says at which row.
    """
    rows = _rows(arguments(texts, (columns["question"], columns["context"])), columns) if texts else []
    if file is not None:
        rows += _of_file(file, columns)
    if not rows:
        raise UsageError(
            "There is nothing to answer.",
            f"Give JSON objects with {columns['question']!r} and {columns['context']!r}, or a file (--input FILE).",
        )
    return rows


def _of_file(file: Path, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    if file_format(file) == ".txt":
        raise UsageError(
            f"{file} has one text a line, and a question needs its context.",
            f"Give a CSV or JSON lines file with the columns {columns['question']} and {columns['context']}.",
        )
    read = read_file(file)
    table = flattened(read)
    if not len(table):
        raise AdaptError(f"{file} has no rows.", "Check that it was written completely.")
    if table is not read:
        columns = SQUAD
    values = {name: table.columns[name] for name in table.columns if name not in _both(columns)}
    rows = _rows(table, columns)
    for position, row in enumerate(rows):
        held = {name: column[position] for name, column in values.items()}
        row["columns"] = json.loads(json.dumps(held, default=str))
    return rows


def _rows(table: Table, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    questions, contexts = (read_strings(table, name) for name in _both(columns))
    return [{"question": one, "context": other} for one, other in zip(questions, contexts, strict=True)]


def _both(columns: Mapping[str, Any]) -> tuple[str, str]:
    return columns["question"], columns["context"]
