"""The rows of text generation: loaded, checked, split and encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from adapt_core.errors import AdaptError
from adapt_nlp.data.source import open_source
from adapt_nlp.data.splits import counts, divide, fingerprint, is_of_run, other_split, read_split, rows_of_run
from adapt_nlp.data.table import Table
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

    def take(self, rows: Sequence[int]) -> Texts:
        """These rows, in this order."""
        return Texts([self.examples[row] for row in rows], [self.numbers[row] for row in rows], self.table)

    def place(self, rows: Sequence[int]) -> str:
        """Where examples stand in the data, by their numbers here."""
        return places(self.table, self.numbers)(rows)

    def with_encoded(self, encode: Callable[..., EncodedTexts]) -> Texts:
        """The same with token ids. ``encode`` is told the examples, where they stand, and what the data are called."""
        if self.encoded is not None:
            return self
        return replace(self, encoded=encode(self.examples, place=self.place, source=self.table.source))


@dataclass(frozen=True)
class GenerationRows:
    """What a run trains and evaluates on.

    Attributes:
        train: the training rows, in the order of the data.
        evaluation: the evaluation rows, in the order of the data; None when none were asked for.
        info: for ``data.json``: ``source``, ``splits`` (the data's own names), ``evaluation`` (where its rows are
            from), ``rows``, ``columns`` and ``fingerprint``, the SHA-256 of the texts used.
    """

    train: Texts
    evaluation: Texts | None
    info: Mapping[str, Any]


def load_generation_data(options: TextGenerationData, seed: int, *, evaluate: bool = True) -> GenerationRows:
    """Loads and checks the data of a run.

    Evaluation takes the validation split; without one, a share of the training rows, drawn with the seed, is held out.
    The test split is counted and otherwise left alone.

    Args:
        options: the ``dataset`` section.
        seed: of every draw.
        evaluate: whether evaluation rows are wanted; without them nothing is held out.

    Raises:
        UsageError: the configuration names data, splits or columns that are not there.
        AdaptError: the data cannot be trained on; says what is wrong, at which rows, and what to do.
    """
    source = open_source(options)
    roles = source.roles(options)
    table = read_split(source, roles.train)
    columns = find_columns(table, options)
    train, evaluation, origin = divide(
        _texts(table, columns),
        lambda split: _texts(read_split(source, split), columns),
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
        "fingerprint": fingerprint(list(train.examples), evaluation and list(evaluation.examples)),
    }
    return GenerationRows(train, evaluation, info)


def load_split(
    options: TextGenerationData, source: str | None, split: str | None, info: Mapping[str, Any], seed: int
) -> tuple[Texts, str]:
    """Rows for evaluating a finished run: all of a split, whatever ``max_eval_samples`` says.

    Args:
        options: the run's ``dataset`` section.
        source: other local data, a file or a folder; None for the run's own.
        split: the name of a split, or ``"train"``, ``"validation"`` or ``"test"`` for what is usually called so. Of
            the run's own data, ``"train"`` and ``"validation"`` are the rows that it trained and evaluated on.
            None: of the run's own data the rows that it evaluated on, of other data the only split.
        info: the run's ``data.json``, whose columns hold here.
        seed: the run's.

    Returns:
        The rows, and in words where they are from.

    Raises:
        UsageError: there is no such data or split.
        AdaptError: the rows cannot be evaluated on, or the run's own rows are no longer the same.
    """
    if is_of_run(source, split):
        return rows_of_run(lambda evaluate: load_generation_data(options, seed, evaluate=evaluate), split, info)
    table = other_split(options, source, split)
    return _texts(table, Columns.from_dict(info["columns"])), table.source


def _texts(table: Table, columns: Columns) -> Texts:
    return Texts(columns.examples(table), range(len(table)), Table(table.source, {}, len(table), table.lines))
