"""What a task hands to the Runner's engine."""

from __future__ import annotations

from dataclasses import dataclass

from adapt_core.engines.common.inputs import Inputs


@dataclass(frozen=True)
class RunnerInputs(Inputs):
    """Inputs with what a model's configuration says of its training.

    Attributes:
        scope: the registry of MMEngine whose classes are meant by their bare names: ``mmdet``, ``mmpose``.
        base_batch_size: rows in a step for which the configuration's learning rate was tuned, where it says so.
    """

    scope: str = "mmengine"
    base_batch_size: int | None = None
