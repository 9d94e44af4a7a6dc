"""What to predict: texts from the command line, or the rows of a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.data.columns import TextColumns
from adapt_nlp.data.files import file_format, read_file
from adapt_nlp.data.table import Table


def read_inputs(
    texts: Sequence[str],
    file: Path | None,
    columns: Mapping[str, Any],
    prepare: Callable[[Table], Table] = lambda table: table,
) -> list[dict[str, Any]]:
    """Rows to predict: first the texts, then the file's rows.

    Args:
        texts: one text each. Where a row needs more than one column, each is a JSON object of these columns.
        file: with the columns that the run was trained on, a label not needed; or ``.txt`` with one text a line.
        columns: ``columns`` of the run's ``data.json``.
        prepare: makes of the file's table one that has these columns.

    Returns:
        ``{"text": …}``, with ``text_pair`` where the run has pairs, and ``columns`` with everything that the row held
        where it came from a file.

    Raises:
        UsageError: nothing to predict, or a column is missing.
        AdaptError: a text is empty or not text; says at which row.
    """
    wanted = TextColumns.from_dict(columns)
    rows: list[dict[str, Any]] = []
    if texts:
        rows += _rows(arguments(texts, wanted.needed), wanted)
    if file is not None:
        table = _file(file, wanted.needed)
        values = {name: table.columns[name] for name in table.columns}
        for position, row in enumerate(_rows(prepare(table), wanted)):
            held = {name: column[position] for name, column in values.items()}
            rows.append(row | {"columns": json.loads(json.dumps(held, default=str))})
    if not rows:
        raise UsageError("There is nothing to predict.", 'Give texts ("…") or a file (--input FILE).')
    return rows


def _rows(table: Table, wanted: TextColumns) -> list[dict[str, Any]]:
    texts, pairs = wanted.texts(table)
    if pairs is None:
        return [{"text": text} for text in texts]
    return [{"text": text, "text_pair": pair} for text, pair in zip(texts, pairs, strict=True)]


def arguments(texts: Sequence[str], needed: Sequence[str]) -> Table:
    """Texts of the command line as a table.

    Args:
        texts: plain ones for a single column; for several, JSON objects of these columns.
        needed: the columns.

    Raises:
        UsageError: a text is no such object.
    """
    if len(needed) == 1:
        return Table("The command line", {needed[0]: texts}, len(texts))
    example = json.dumps(dict.fromkeys(needed, "…"), ensure_ascii=False)
    records = []
    for number, text in enumerate(texts, start=1):
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):  # not JSON at all: the same answer as for JSON of another shape
            record = None
        if not isinstance(record, dict) or set(record) != set(needed):
            raise UsageError(
                f"The command line, text {number}: this model reads {len(needed)} columns, {', '.join(needed)}.",
                f"Write each row as a JSON object, '{example}', or give a file (--input FILE).",
            )
        records.append(record)
    return Table("The command line", {name: [record[name] for record in records] for name in needed}, len(records))


def _file(path: Path, needed: Sequence[str]) -> Table:
    table = read_file(path)
    if not len(table):
        raise AdaptError(f"{path} has no rows.", "Check that it was written completely.")
    if file_format(path) != ".txt":
        return table
    if len(needed) > 1:
        raise UsageError(
            f"{path} has one text a line, and this model reads {len(needed)} columns, {', '.join(needed)}.",
            "Give a CSV or JSON lines file with these columns.",
        )
    return Table(table.source, {needed[0]: table.columns["text"]}, table.size, table.lines)
