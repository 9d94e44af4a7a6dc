"""The rows of text generation: loaded, checked, split and encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapt_nlp.data import loading
from adapt_nlp.data.loading import LoadedRows, Reading, load_rows
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import pick
from adapt_nlp.text_generation.encoding import EncodedTexts, places
from adapt_nlp.text_generation.formats import Columns, Example, find_columns
from adapt_nlp.text_generation.options import TextGenerationData


@dataclass(frozen=True)
class Texts:
    """Examples of one format; a map-style data set.

    Attributes:
        examples: see :data:`~adapt_nlp.text_generation.formats.Example`.
        numbers: which row of its table each of them is.
        table: what they were read from, without its columns.
        encoded: once there is a tokenizer.
    """

    examples: Sequence[Example]
    numbers: Sequence[int]
    table: Table
    encoded: EncodedTexts | None = None

    @property
    def strata(self) -> Sequence[int]:
        """All of one class."""
        return [0] * len(self.examples)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, row: int) -> Example:
        return self.examples[row]

    def take(self, rows: Any) -> Texts:
        """These rows, in this order."""
        return Texts(pick(self.examples, rows), pick(self.numbers, rows), self.table)

    def place(self, rows: Sequence[int]) -> str:
        """Where examples stand in the data, by their numbers here."""
        return places(self.table, self.numbers)(rows)

    def with_encoded(self, encode: Callable[..., EncodedTexts]) -> Texts:
        """The same with token ids. ``encode`` is told the examples, where they stand, and what the data are called."""
        if self.encoded is not None:
            return self
        return replace(self, encoded=encode(self.examples, place=self.place, source=self.table.source))


GenerationRows = LoadedRows[Texts]


class GenerationReading(Reading[Texts]):
    """Reads texts, prompts with completions, or conversations."""

    def __init__(self, options: TextGenerationData) -> None:
        self.options = options

    def training(self, table: Table) -> Texts:
        """Settles the format and its columns."""
        self.columns = find_columns(table, self.options)
        return self.other(table)

    def other(self, table: Table) -> Texts:
        """By the same columns."""
        return _texts(table, self.columns)

    def facts(self, train: Texts) -> dict[str, Any]:
        """``columns``."""
        return {"columns": self.columns.as_dict()}

    def used(self, rows: Texts) -> Any:
        """The examples."""
        return rows.examples


def load_generation_data(options: TextGenerationData, seed: int, *, evaluate: bool = True) -> GenerationRows:
    """The data of a run; see :func:`~adapt_nlp.data.loading.load_rows`."""
    return load_rows(options, seed, GenerationReading(options), evaluate=evaluate)


def load_split(
    options: TextGenerationData, source: str | None, split: str | None, info: Mapping[str, Any], seed: int
) -> tuple[Texts, str]:
    """Rows for evaluating a finished run; see :func:`adapt_nlp.data.loading.load_split`."""
    return loading.load_split(
        options,
        source,
        split,
        info,
        again=lambda evaluate: load_generation_data(options, seed, evaluate=evaluate),
        read=lambda table: _texts(table, Columns.from_dict(info["columns"])),
    )


def _texts(table: Table, columns: Columns) -> Texts:
    return Texts(columns.examples(table), range(len(table)), Table(table.source, {}, len(table), table.lines))
