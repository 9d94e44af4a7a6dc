"""Has the losses of transformers' detectors count the objects of their own batch, and no other process's."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

LOSSES = "transformers.loss.loss_for_object_detection"


class _OneProcess:
    """What a loss asks accelerate for, as it is where there is one process."""

    _shared_state: ClassVar[Mapping[str, Any]] = {}


def count_own_objects(module: nn.Module) -> None:
    """With several processes, has a model's loss be a mean over the objects of its batch.

    transformers divides it by the mean number of objects of all processes, rows that only stand in for missing ones
    included. Adapt weighs the loss of each batch by what is in it, and comes to the mean over all.

    Args:
        module: the model; the modules that define its classes are told.
    """
    for name in {LOSSES, *(type(each).__module__ for each in module.modules())}:
        source = sys.modules.get(name)
        if source is not None and name.startswith("transformers.") and hasattr(source, "PartialState"):
            source.PartialState = _OneProcess  # type: ignore[attr-defined]
