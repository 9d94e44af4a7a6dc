"""What a task hands to an engine, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapt_core.engines.common.measuring import Items, Step
from adapt_core.interfaces import Meter


@dataclass(frozen=True)
class Inputs:
    """Data, a way to take a step, and metrics.

    Attributes:
        train: a map-style data set of feature mappings, or an iterable for a stream, which needs
            ``training.max_steps``; None when nothing is trained. Where it has ``set_epoch``, it is told the epoch.
        evaluation: a map-style data set; None when nothing is evaluated.
        collate: makes a batch of tensors out of features. It must not draw random numbers: what is random in the data
            must be a function of (seed, epoch, row), or a resumed run would differ.
        meter: makes what measures the model in an evaluation; None for the loss alone.
        lengths: of the training rows, for batches of like length; None where length means nothing.
        step: from the module and a batch to outputs, with ``loss`` the mean over what ``items`` counts; by default the
            module called with the batch.
        evaluation_step: the same in an evaluation, where that does more, such as generating; by default ``step``.
        items: how many things the loss of a batch is a mean of; by default its rows.
    """

    train: Any
    evaluation: Any
    collate: Callable[[list[Any]], Mapping[str, Any]] | None
    meter: Callable[[], Meter] | None = None
    lengths: Sequence[int] | None = None
    step: Step | None = None
    evaluation_step: Step | None = None
    items: Items | None = None
