"""Reads delimited text: CSV and TSV."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import BATCH

LARGEST = 2**31 - 1
"""Characters of a cell."""


def delimited_parts(source: str, lines: Callable[[], Iterator[str]], separator: str | None) -> Iterator[Table]:
    """The rows of delimited text, some at a time. The first row that is not blank names the columns.

    Args:
        source: the file's name.
        lines: gives its lines, from the beginning.
        separator: of cells; None to tell by the header.

    Raises:
        AdaptError: a row is malformed or has fewer or more cells than the header; says at which line.
    """
    separator = separator or _separator(next(line for line in lines() if line.strip("\r\n")))
    rows = _rows(source, lines(), separator)
    _, cells = next(rows)
    header = [name.strip() or f"column {number}" for number, name in enumerate(cells, start=1)]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise AdaptError(
            f"{source}: the header has more than one column named {listed(repeated)}.", "Rename one of them."
        )
    part: list[tuple[int, list[str]]] = []
    for row in rows:
        if len(row[1]) != len(header):
            more = sum(len(cells) != len(header) for _, cells in rows)
            raise _uneven(source, *row, len(header), more + 1, separator)
        part.append(row)
        if len(part) == BATCH:
            yield _table(source, header, part)
            part = []
    yield _table(source, header, part)


def _table(source: str, header: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> Table:
    columns = zip(*(cells for _, cells in rows), strict=True) if rows else ((),) * len(header)
    return Table(source, dict(zip(header, columns, strict=True)), len(rows), [line for line, _ in rows])


def _separator(header: str) -> str:
    """What separates the cells of a CSV: a comma, unless its header has none but has semicolons or tabs."""
    return next((mark for mark in ",;\t" if mark in header), ",")


def _rows(source: str, lines: Iterator[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """The line at which each row begins, and its cells; blank lines give none."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    begin = 1
    while True:
        with _cells_of_any_size():
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise AdaptError(
                    f"{source}, line {begin}: malformed row: {error}.",
                    "A cell that holds the separator, a quote or a line break stands in double quotes, and a quote "
                    'inside it is written twice: "say ""hi""".',
                ) from error
        if cells:
            yield begin, cells
        begin = reader.line_num + 1


def _uneven(source: str, line: int, cells: Sequence[str], wanted: int, rows: int, separator: str) -> AdaptError:
    others = f" ({rows} such rows in all)" if rows > 1 else ""
    return AdaptError(
        f"{source}, line {line}: {len(cells)} cells, and the header has {wanted}{others}.",
        f"Every row needs {wanted} cells, separated by {separator!r}; put a cell that holds the separator in "
        "double quotes.",
    )


@contextmanager
def _cells_of_any_size() -> Iterator[None]:
    """Lifts the csv module's limit on the length of a cell, which is the whole process's, while a row is read."""
    before = csv.field_size_limit(LARGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)
