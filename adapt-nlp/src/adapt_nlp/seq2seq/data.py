"""The rows of a task that writes a text out of a text: loaded, checked, split and encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapt_nlp.data import loading
from adapt_nlp.data.loading import LoadedRows, Reading, load_rows
from adapt_nlp.data.options import TextDataOptions
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import pick
from adapt_nlp.seq2seq.columns import PairColumns
from adapt_nlp.seq2seq.encoding import EncodedPairs

Find = Callable[[Table], PairColumns]
"""Finds the columns of a task in a table."""


@dataclass(frozen=True)
class Pairs:
    """Texts with their targets; a map-style data set.

    Attributes:
        texts: one a row, none of them empty.
        targets: what is to be written for each.
        numbers: which row of its table each of them is.
        table: what they were read from, without its columns.
        encoded: once there is a tokenizer.
    """

    texts: Sequence[str]
    targets: Sequence[str]
    numbers: Sequence[int]
    table: Table
    encoded: EncodedPairs | None = None

    @property
    def strata(self) -> Sequence[int]:
        """All of one class."""
        return [0] * len(self.texts)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """``{"text": …, "target": …}``."""
        return {"text": self.texts[row], "target": self.targets[row]}

    def take(self, rows: Any) -> Pairs:
        """These rows, in this order."""
        return Pairs(pick(self.texts, rows), pick(self.targets, rows), pick(self.numbers, rows), self.table)

    def place(self, rows: Sequence[int]) -> str:
        """Where rows stand in the data, by their numbers here."""
        return self.table.place([self.numbers[row] for row in rows])

    def with_encoded(self, encode: Callable[..., EncodedPairs]) -> Pairs:
        """The same with token ids. ``encode`` is told texts, targets, where they stand and what the data are called."""
        if self.encoded is not None:
            return self
        encoded = encode(self.texts, self.targets, place=self.place, source=self.table.source)
        return replace(self, encoded=encoded)


PairRows = LoadedRows[Pairs]


class PairReading(Reading[Pairs]):
    """Reads texts and their targets.

    Args:
        find: finds the columns in the training rows.
    """

    def __init__(self, find: Find) -> None:
        self.find = find

    def training(self, table: Table) -> Pairs:
        """Settles the columns."""
        self.columns = self.find(table)
        return self.other(table)

    def other(self, table: Table) -> Pairs:
        """By the same columns."""
        return _pairs(table, self.columns)

    def facts(self, train: Pairs) -> dict[str, Any]:
        """``columns``."""
        return {"columns": self.columns.as_dict()}

    def used(self, rows: Pairs) -> list[Any]:
        """Texts and targets."""
        return [rows.texts, rows.targets]


def load_pairs(options: TextDataOptions, seed: int, find: Find, *, evaluate: bool = True) -> PairRows:
    """The data of a run; see :func:`~adapt_nlp.data.loading.load_rows` and :class:`PairReading`."""
    return load_rows(options, seed, PairReading(find), evaluate=evaluate)


def load_split(
    options: TextDataOptions, source: str | None, split: str | None, info: Mapping[str, Any], seed: int, find: Find
) -> tuple[Pairs, str]:
    """Rows for evaluating a finished run; see :func:`adapt_nlp.data.loading.load_split`."""
    return loading.load_split(
        options,
        source,
        split,
        info,
        again=lambda evaluate: load_pairs(options, seed, find, evaluate=evaluate),
        read=lambda table: _pairs(table, PairColumns.from_dict(info["columns"])),
    )


def _pairs(table: Table, columns: PairColumns) -> Pairs:
    texts, targets = columns.read(table)
    return Pairs(texts, targets, range(len(table)), Table(table.source, {}, len(table), table.lines))
