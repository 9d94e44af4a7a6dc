"""What a task hands to the Runner's engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapt_core.engines.common.inputs import Inputs


@dataclass(frozen=True)
class RunnerInputs(Inputs):
    """Inputs with what a model's configuration says of its training.

    Attributes:
        arguments: from the module and a batch to the arguments of a call of the module, where these are others.
        scope: the registry of MMEngine whose classes are meant by their bare names: ``mmdet``, ``mmpose``.
        base_batch_size: rows in a step for which the configuration's learning rate was tuned, where it says so.
    """

    scope: str = "mmengine"
    arguments: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]] | None = None
    base_batch_size: int | None = None
