"""The rows of one split as they were read, with what it takes to say where a row stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapt_core.utils.units import SHOWN, listed


@dataclass(frozen=True)
class Table:
    """Rows by column.

    Attributes:
        source: the file or the data set and split that it was read from, for messages.
        columns: the values by column name, in the order of the file; every column has ``size`` values, and a
            missing value is None.
        size: the number of rows.
        lines: for files of lines, the 1-based line at which each row begins; None counts rows, from 1.
        first: rows of the data that come before these, where rows are counted.
        class_names: the names behind a column of integers, or of lists of them, by column, where the data itself
            records them (``datasets.ClassLabel``).
        key: of the rows in the cache; None where they are not there.
    """

    source: str
    columns: Mapping[str, Sequence[Any]]
    size: int
    lines: Sequence[int] | None = None
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    first: int = 0
    key: str | None = None

    def __len__(self) -> int:
        return self.size

    def place(self, rows: Sequence[int]) -> str:
        """Where rows (0-based) stand: ``"line 7"``, ``"rows 1, 2, 3, 4, 5 and 20 more"``."""
        word = "row" if self.lines is None else "line"
        numbers = [row + 1 + self.first if self.lines is None else self.lines[row] for row in rows[:SHOWN]]
        return f"{word}{'s' if len(rows) > 1 else ''} {listed(numbers, len(rows))}"


def joined(source: str, parts: Sequence[Table]) -> Table:
    """Parts of one file as one table in memory; a column that a part lacks is None there."""
    if len(parts) == 1:
        return parts[0]
    names = dict.fromkeys(name for part in parts for name in part.columns)
    columns = {
        name: [value for part in parts for value in (part.columns.get(name) or [None] * len(part))] for name in names
    }
    lines = None if parts[0].lines is None else [line for part in parts for line in part.lines or ()]
    return Table(source, columns, sum(map(len, parts)), lines, parts[0].class_names)


class LazyColumns(Mapping[str, Sequence[Any]]):
    """Columns that become Python values only when they are asked for.

    Args:
        names: the columns there are.
        load: gives the values of one.
    """

    def __init__(self, names: Sequence[str], load: Callable[[str], Sequence[Any]]) -> None:
        self._names = tuple(names)
        self._load = load

    def __getitem__(self, name: str) -> Sequence[Any]:
        if name not in self._names:
            raise KeyError(name)
        return self._load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
