"""The rows of a task that writes a text out of a text: loaded, checked, split and encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from adapt_core.errors import AdaptError
from adapt_nlp.data.options import TextDataOptions
from adapt_nlp.data.source import open_source
from adapt_nlp.data.splits import counts, divide, fingerprint, is_of_run, other_split, read_split, rows_of_run
from adapt_nlp.data.table import Table
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

    def take(self, rows: Sequence[int]) -> Pairs:
        """These rows, in this order."""
        texts, targets = ([values[row] for row in rows] for values in (self.texts, self.targets))
        return Pairs(texts, targets, [self.numbers[row] for row in rows], self.table)

    def place(self, rows: Sequence[int]) -> str:
        """Where rows stand in the data, by their numbers here."""
        return self.table.place([self.numbers[row] for row in rows])

    def with_encoded(self, encode: Callable[..., EncodedPairs]) -> Pairs:
        """The same with token ids. ``encode`` is told texts, targets, where they stand and what the data are called."""
        if self.encoded is not None:
            return self
        encoded = encode(self.texts, self.targets, place=self.place, source=self.table.source)
        return replace(self, encoded=encoded)


@dataclass(frozen=True)
class PairRows:
    """What a run trains and evaluates on.

    Attributes:
        train: the training rows, in the order of the data.
        evaluation: the evaluation rows, in the order of the data; None when none were asked for.
        info: for ``data.json``: ``source``, ``splits`` (the data's own names), ``evaluation`` (where its rows are
            from), ``rows``, ``columns`` and ``fingerprint``, the SHA-256 of the texts and targets used.
    """

    train: Pairs
    evaluation: Pairs | None
    info: Mapping[str, Any]


def load_pairs(options: TextDataOptions, seed: int, find: Find, *, evaluate: bool = True) -> PairRows:
    """Loads and checks the data of a run.

    Evaluation takes the validation split; without one, a share of the training rows, drawn with the seed, is held out.
    The test split is counted and otherwise left alone.

    Args:
        options: the ``dataset`` section.
        seed: of every draw.
        find: finds the columns in the training rows.
        evaluate: whether evaluation rows are wanted; without them nothing is held out.

    Raises:
        UsageError: the configuration names data, splits or columns that are not there.
        AdaptError: the data cannot be trained on; says what is wrong, at which rows, and what to do.
    """
    source = open_source(options)
    roles = source.roles(options)
    table = read_split(source, roles.train)
    columns = find(table)
    train, evaluation, origin = divide(
        _pairs(table, columns),
        lambda split: _pairs(read_split(source, split), columns),
        roles,
        options,
        seed,
        evaluate=evaluate,
        none_to_hold_out=AdaptError(
            f"{table.source}: nothing can be held out of a single row.",
            "Add rows or a validation split, or evaluate nothing with training.do_eval=false (DO_EVAL).",
        ),
    )
    info = {
        "source": source.name,
        "splits": asdict(roles),
        "evaluation": origin,
        "rows": counts(train, evaluation, source, roles),
        "columns": columns.as_dict(),
        "fingerprint": fingerprint(_used(train), _used(evaluation)),
    }
    return PairRows(train, evaluation, info)


def load_split(
    options: TextDataOptions, source: str | None, split: str | None, info: Mapping[str, Any], seed: int, find: Find
) -> tuple[Pairs, str]:
    """Rows for evaluating a finished run: all of a split, whatever ``max_eval_samples`` says.

    Args:
        options: the run's ``dataset`` section.
        source: other local data, a file or a folder; None for the run's own.
        split: the name of a split, or ``"train"``, ``"validation"`` or ``"test"`` for what is usually called so. Of
            the run's own data, ``"train"`` and ``"validation"`` are the rows that it trained and evaluated on.
            None: of the run's own data the rows that it evaluated on, of other data the only split.
        info: the run's ``data.json``, whose columns hold here.
        seed: the run's.
        find: finds the columns in the run's own training rows.

    Returns:
        The rows, and in words where they are from.

    Raises:
        UsageError: there is no such data or split.
        AdaptError: the rows cannot be evaluated on, or the run's own rows are no longer the same.
    """
    if is_of_run(source, split):
        return rows_of_run(lambda evaluate: load_pairs(options, seed, find, evaluate=evaluate), split, info)
    table = other_split(options, source, split)
    return _pairs(table, PairColumns.from_dict(info["columns"])), table.source


def _pairs(table: Table, columns: PairColumns) -> Pairs:
    texts, targets = columns.read(table)
    return Pairs(texts, targets, range(len(table)), Table(table.source, {}, len(table), table.lines))


def _used(rows: Pairs | None) -> list[Any] | None:
    """What of rows counts for the fingerprint."""
    return None if rows is None else [rows.texts, rows.targets]
