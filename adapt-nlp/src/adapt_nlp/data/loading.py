"""Loads the rows of a run and of an evaluation after it, in one way for every task, which says what a row is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.data.cache import Cache, key_of
from adapt_nlp.data.options import SplitDataOptions
from adapt_nlp.data.source import DataSource, Roles, open_local, open_source
from adapt_nlp.data.splits import R, counts, divide, drawn, fingerprint
from adapt_nlp.data.store import stored_parts
from adapt_nlp.data.streaming import StreamedRows
from adapt_nlp.data.table import Table, joined


@dataclass(frozen=True)
class LoadedRows(Generic[R]):
    """What a run trains and evaluates on.

    Attributes:
        train: the training rows, in the order of the data.
        evaluation: the evaluation rows, in the order of the data; None when none were asked for.
        info: for ``data.json``: ``source``, ``splits`` (the data's own names), ``evaluation`` (where its rows are
            from), ``rows``, what the task says of its rows, and ``fingerprint``, the SHA-256 of all that is used.
        stream: all training rows, where these are a stream; ``train`` is the first of them then. None otherwise.
    """

    train: R
    evaluation: R | None
    info: Mapping[str, Any]
    stream: StreamedRows[R] | None = None

    @property
    def label_names(self) -> list[str]:
        """The labels' names in the order of their ids, where rows have labels."""
        return list(self.info["label_names"])


@dataclass(frozen=True)
class Reshaped:
    """Rows that are made of those of a table.

    Attributes:
        source: what they are called.
        parts: gives them, some at a time.
    """

    source: str
    parts: Callable[[], Iterator[Table]]


Reshape = Callable[[Table], Reshaped | None]


class Reading(ABC, Generic[R]):
    """How a task reads rows. The training rows settle it: their columns and labels are those of all others."""

    def reshaped(self, table: Table) -> Reshaped | None:
        """The rows that a table really holds, where these are not its own; None where they are."""
        return None

    @abstractmethod
    def training(self, table: Table) -> R:
        """The rows of the training split. Raises AdaptError for those that cannot be trained on, by their numbers."""

    @abstractmethod
    def other(self, table: Table) -> R:
        """The rows of another split, after those of training."""

    @abstractmethod
    def facts(self, train: R) -> dict[str, Any]:
        """What ``data.json`` says of the rows that are trained on, ``columns`` among it."""

    @abstractmethod
    def used(self, rows: R) -> list[Any]:
        """What of rows counts for the fingerprint, column by column."""

    def none_to_hold_out(self, source: str) -> AdaptError:
        """The error where nothing can be held out for evaluation."""
        return AdaptError(
            f"{source}: nothing can be held out of a single row.",
            "Add rows or a validation split, or evaluate nothing with training.do_eval=false (DO_EVAL).",
        )

    def groups(self, train: R) -> Sequence[Hashable] | None:
        """A key for each row, equal for rows too alike to be trained on and evaluated on; None where there are none."""
        return None

    def why_not_streamed(self, table: Table) -> str | None:
        """Why rows cannot be a stream, of which this is the first table; None where they can."""
        return None

    def require_learnable(self, rows: R, source: str) -> None:
        """Raises AdaptError for training rows of which nothing can be learnt."""


def load_rows(options: SplitDataOptions, seed: int, reading: Reading[R], *, evaluate: bool = True) -> LoadedRows[R]:
    """Loads and checks the data of a run.

    Evaluation takes the validation split; without one, a stratified share of the training rows, drawn with the seed, is
    held out. The test split is counted and otherwise left alone.

    Args:
        options: the ``dataset`` section.
        seed: of every draw.
        reading: of the task.
        evaluate: whether evaluation rows are wanted; without them nothing is held out.

    Raises:
        UsageError: the configuration names data, splits or columns that are not there.
        AdaptError: the data cannot be trained on; says what is wrong, at which rows, and what to do.
    """
    source = open_source(options, Cache(options.cache_dir))
    roles = source.roles(options)
    if options.streaming:
        return _load_stream(options, source, roles, seed, reading, evaluate)
    table = read_split(source, roles.train, reading.reshaped)
    train = reading.training(table)
    reading.require_learnable(train, table.source)
    train, evaluation, origin = divide(
        train,
        lambda split: reading.other(read_split(source, split, reading.reshaped)),
        roles,
        options,
        seed,
        evaluate=evaluate,
        none_to_hold_out=reading.none_to_hold_out(table.source),
        groups=reading.groups(train),
    )
    if options.max_train_samples is not None:
        reading.require_learnable(train, f"dataset.max_train_samples={options.max_train_samples} of {table.source}")
    facts = reading.facts(train)
    names = [facts["label_names"]] if "label_names" in facts else []
    info = {
        "source": source.name,
        "splits": asdict(roles),
        "evaluation": origin,
        "rows": counts(train, evaluation, source, roles),
        **facts,
        "fingerprint": fingerprint(reading.used(train), evaluation and reading.used(evaluation), *names),
    }
    return LoadedRows(train, evaluation, info)


def _load_stream(
    options: SplitDataOptions, source: DataSource, roles: Roles, seed: int, reading: Reading[R], evaluate: bool
) -> LoadedRows[R]:
    """The first of the training rows, by which columns are found, and all evaluation rows."""

    def parts() -> Iterator[Table]:
        for part in source.splits[roles.train].parts():
            made = reading.reshaped(part)
            yield from (part,) if made is None else made.parts()

    head = next((part for part in parts() if len(part)), None)
    if head is None:
        raise AdaptError(f"{source.name} has no rows in the split {roles.train}.", "Check that it is whole.")
    if reason := reading.why_not_streamed(head):
        raise AdaptError(f"dataset.streaming: {head.source}: {reason}", "Do so, or set dataset.streaming to false.")
    if evaluate and roles.validation is None:
        raise AdaptError(
            f"dataset.streaming: {source.name} has no validation split, and nothing can be held out of a stream.",
            "Add a validation split (a folder with train and validation files), or evaluate nothing with "
            "training.do_eval=false (DO_EVAL).",
        )
    train = reading.training(head)
    evaluation, origin = None, None
    if evaluate and roles.validation is not None:
        origin = f"split {roles.validation}"
        evaluation = drawn(reading.other(read_split(source, roles.validation, reading.reshaped)), options, seed)
    facts = reading.facts(train)
    names = [facts["label_names"]] if "label_names" in facts else []
    info = {
        "source": source.name,
        "splits": asdict(roles),
        "evaluation": origin,
        "streamed": len(train),
        "rows": {"validation": 0 if evaluation is None else len(evaluation)},
        **facts,
        "fingerprint": fingerprint(
            reading.used(train), evaluation and reading.used(evaluation), source.splits[roles.train].size, *names
        ),
    }
    return LoadedRows(train, evaluation, info, StreamedRows(parts, reading.other, seed, options.shuffle_buffer))


def load_split(
    options: SplitDataOptions,
    source: str | None,
    split: str | None,
    info: Mapping[str, Any],
    *,
    again: Callable[[bool], LoadedRows[R]],
    read: Callable[[Table], R],
    reshape: Reshape = lambda table: None,
) -> tuple[R, str]:
    """Rows for evaluating a finished run: all of a split, whatever ``max_eval_samples`` says.

    Args:
        options: the run's ``dataset`` section.
        source: other local data, a file or a folder; None for the run's own.
        split: the name of a split, or ``"train"``, ``"validation"`` or ``"test"`` for what is usually called so. Of
            the run's own data, ``"train"`` and ``"validation"`` are the rows that it trained and evaluated on.
            None: of the run's own data the rows that it evaluated on, of other data the only split.
        info: the run's ``data.json``, whose columns and labels hold here.
        again: loads the run's data once more, with evaluation rows or without.
        read: the rows of a table, as the run read them.
        reshape: see :meth:`Reading.reshaped`.

    Returns:
        The rows, and in words where they are from.

    Raises:
        UsageError: there is no such data or split.
        AdaptError: the rows cannot be evaluated on, or the run's own rows are no longer the same.
    """
    if source is None and split in (None, "train", "validation"):
        return _rows_of_run(again(info["evaluation"] is not None), split, info)
    cache = Cache(options.cache_dir)
    opened = open_source(options, cache) if source is None else open_local(source, cache)
    name = _named_split(opened, options, source, split)
    return read(read_split(opened, name, reshape)), opened.read(name).source


def read_split(source: DataSource, split: str, reshape: Reshape) -> Table:
    """Reads a split that must have rows. Raises AdaptError where it has none."""
    table = source.read(split)
    if not len(table):
        raise AdaptError(f"{table.source} has no rows.", "Check that it was written completely.")
    made = reshape(table)
    if made is None:
        return table
    if table.key is None or source.cache is None:
        return joined(made.source, list(made.parts()))
    return stored_parts(key_of("rows", reshape.__module__, table.key), made.parts, source.cache, made.source)


def _rows_of_run(loaded: LoadedRows[R], split: str | None, info: Mapping[str, Any]) -> tuple[R, str]:
    """The rows that a run trained on (``"train"``) or evaluated on, and in words where they are from."""
    if loaded.info["fingerprint"] != info["fingerprint"]:
        raise AdaptError(
            f"The data in {loaded.info['source']} is no longer what the run was made with: its fingerprint differs.",
            "Restore the data, or evaluate on other data, given by its path.",
        )
    if split == "train" and loaded.stream is not None:
        raise UsageError("The run's training rows were a stream.", "Name a file of them as other data.")
    if split == "train":
        return loaded.train, "the run's training rows"
    if loaded.evaluation is None:
        raise UsageError(
            "The run evaluated on no rows, as training.do_eval (DO_EVAL) was false.", "Name a split or other data."
        )
    return loaded.evaluation, str(info["evaluation"])


def _named_split(opened: DataSource, options: SplitDataOptions, source: str | None, split: str | None) -> str:
    """The data's own name of a split that a run did not use, of its own data or of other local data."""
    if split is None:
        if len(opened.splits) > 1:
            raise UsageError(f"{opened.name} has {len(opened.splits)} splits: {', '.join(opened.splits)}.", "Name one.")
        return next(iter(opened.splits))
    named = opened.roles(options).test if source is None and split == "test" else None
    return named or opened.find(split)
