"""What a task hands to the Trainer engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainerInputs:
    """Data and metrics, in the Trainer's own terms.

    Attributes:
        train: a map-style dataset of feature dictionaries; None when nothing is trained.
        evaluation: likewise; None when nothing is evaluated.
        collate: makes a batch of tensors out of features. It must not draw random numbers: what is random in the data
            must be a function of (seed, epoch, row), or a resumed run would differ.
        metrics: from the Trainer's ``EvalPrediction`` to metrics by name.
        lengths: of the training rows, for batches of like length; None where length means nothing.
        token_loss: whether the model's loss is a mean over the tokens of a whole optimizer step, as language models
            compute it from the Trainer's ``num_items_in_batch``. Otherwise it is a mean over each batch. Models that
            take the number and ignore it would sum the losses of accumulated batches instead of averaging them.
    """

    train: Any
    evaluation: Any
    collate: Callable[[list[Any]], Mapping[str, Any]]
    metrics: Callable[[Any], Mapping[str, float]]
    lengths: Sequence[int] | None = None
    token_loss: bool = False
