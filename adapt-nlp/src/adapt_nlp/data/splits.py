"""Which rows a run trains on and which it evaluates on: the same for every task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from adapt_core.errors import AdaptError
from adapt_nlp.data.options import SplitDataOptions
from adapt_nlp.data.sample import draw, hold_out, hold_out_groups
from adapt_nlp.data.source import DataSource, Roles
from adapt_nlp.data.views import BATCH


class Rows(Protocol):
    """Rows of a task, of which some can be taken."""

    @property
    def strata(self) -> Sequence[int]:
        """What a draw keeps the shares of: the class of each row."""

    def __len__(self) -> int: ...

    def take(self, rows: Any) -> Self:
        """These rows, in this order."""


R = TypeVar("R", bound=Rows)


def divide(
    train: R,
    read: Callable[[str], R],
    roles: Roles,
    options: SplitDataOptions,
    seed: int,
    *,
    evaluate: bool,
    none_to_hold_out: AdaptError,
    groups: Sequence[Hashable] | None = None,
) -> tuple[R, R | None, str | None]:
    """The rows to train on and those to evaluate on, as many of each as were asked for.

    Evaluation takes the validation split; without one, a stratified share of the training rows, drawn with the seed,
    is held out, or of rows in groups as many whole groups.

    Args:
        train: all rows of the training split.
        read: gives the rows of another split.
        roles: the data's names of the splits.
        options: the ``dataset`` section.
        seed: of every draw.
        evaluate: whether evaluation rows are wanted; without them nothing is held out.
        none_to_hold_out: raised where no stratum has two rows, or there is one group.
        groups: of the training rows, where rows of one group are too alike to be trained on and evaluated on.

    Returns:
        The training rows, the evaluation rows, and in words where these are from; the latter two None without them.
    """
    evaluation: R | None = None
    origin = None
    if evaluate and roles.validation is not None:
        origin = f"split {roles.validation}"
        evaluation = read(roles.validation)
    elif evaluate:
        origin = f"held out from split {roles.train}"
        share = options.validation_share
        held = hold_out(train.strata, share, seed) if groups is None else hold_out_groups(groups, share, seed)
        if not held:
            raise none_to_hold_out
        evaluation = train.take(held)
        train = train.take(np.delete(np.arange(len(train)), held))
    if options.max_train_samples is not None:
        train = train.take(draw(train.strata, options.max_train_samples, seed, "training rows"))
    return train, evaluation and drawn(evaluation, options, seed), origin


def drawn(evaluation: R, options: SplitDataOptions, seed: int) -> R:
    """As many evaluation rows as were asked for."""
    if options.max_eval_samples is None:
        return evaluation
    return evaluation.take(draw(evaluation.strata, options.max_eval_samples, seed, "evaluation rows"))


def counts(train: Rows, evaluation: Rows | None, source: DataSource, roles: Roles) -> dict[str, int]:
    """How many rows there are for what; the test split is counted and otherwise left alone."""
    return {
        "train": len(train),
        "validation": 0 if evaluation is None else len(evaluation),
        "test": 0 if roles.test is None else len(source.read(roles.test)),
    }


def fingerprint(*parts: Any) -> str:
    """SHA-256 of what a run uses of the data, as JSON; the same wherever it was read from."""
    found = hashlib.sha256()
    for text in _as_json(parts):
        found.update(text.encode())
    return found.hexdigest()


FEW = 8
"""More parts than a fingerprint is made of: what holds more does not hold columns but is one."""


def _as_json(value: Any) -> Iterator[str]:
    """What :func:`json.dumps` gives, in pieces: columns are not in memory whole."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        yield json.dumps(value)
        return
    yield "["
    if any(map(_holds_many, value[:BATCH])):
        for place, each in enumerate(value):
            yield ", " if place else ""
            yield from _as_json(each)
    else:
        for start in range(0, len(value), BATCH):
            yield ", " if start else ""
            yield json.dumps(list(value[start : start + BATCH]), default=list)[1:-1]
    yield "]"


def _holds_many(value: Any) -> bool:
    """Whether a value is a long column, or holds one."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return False
    return len(value) > BATCH or any(map(_holds_many, value[:FEW]))
