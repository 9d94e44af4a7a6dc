"""What a task hands to the Runner's engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from torch import nn

from adapt_core.engines.common.inputs import Inputs


@dataclass(frozen=True)
class RunnerInputs(Inputs):
    """Inputs with what a model's configuration says of its training.

    Attributes:
        arguments: from the module and a batch to the arguments of a call of the module, where these are others.
        scope: the registry of MMEngine whose classes are meant by their bare names: ``mmdet``, ``mmpose``.
        base_batch_size: rows in a step for which the configuration's learning rate was tuned, where it says so.
        summed: whether the loss of a batch is a sum over ``items``, and not a mean.
        shared: from the share that a process has of a batch, 0 to 1, to a context in which a loss that divides by a
            count of all processes is that of this process's share; for libraries whose losses do that.
        blocks: from the module to its parts whose activations can be recomputed, one after another.
    """

    scope: str = "mmengine"
    arguments: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]] | None = None
    base_batch_size: int | None = None
    summed: bool = False
    shared: Callable[[float], AbstractContextManager[None]] | None = None
    blocks: Callable[[nn.Module], Sequence[nn.Module]] | None = None
