"""Which rows a run trains on and which it evaluates on: the same for every task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol, Self, TypeVar

from adapt_core.errors import AdaptError
from adapt_nlp.data.options import SplitDataOptions
from adapt_nlp.data.sample import draw, hold_out, hold_out_groups
from adapt_nlp.data.source import DataSource, Roles


class Rows(Protocol):
    """Rows of a task, of which some can be taken."""

    @property
    def strata(self) -> Sequence[int]:
        """What a draw keeps the shares of: the class of each row."""

    def __len__(self) -> int: ...

    def take(self, rows: Sequence[int]) -> Self:
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
        left_out = set(held)
        evaluation = train.take(held)
        train = train.take([row for row in range(len(train)) if row not in left_out])
    if options.max_train_samples is not None:
        train = train.take(draw(train.strata, options.max_train_samples, seed, "training rows"))
    if options.max_eval_samples is not None and evaluation is not None:
        evaluation = evaluation.take(draw(evaluation.strata, options.max_eval_samples, seed, "evaluation rows"))
    return train, evaluation, origin


def counts(train: Rows, evaluation: Rows | None, source: DataSource, roles: Roles) -> dict[str, int]:
    """How many rows there are for what; the test split is counted and otherwise left alone."""
    return {
        "train": len(train),
        "validation": 0 if evaluation is None else len(evaluation),
        "test": 0 if roles.test is None else len(source.read(roles.test)),
    }


def fingerprint(*parts: Any) -> str:
    """SHA-256 of what a run uses of the data; the same wherever it was read from."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
