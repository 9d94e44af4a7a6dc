"""How many parameters a model has."""

from __future__ import annotations

import math
from typing import Any

from torch import nn


def count_parameters(module: nn.Module) -> dict[str, int]:
    """Elements of the model's parameters: ``total`` and ``trainable``.

    A 4-bit weight counts as many as it stands for.
    """
    counts = [(elements(parameter), parameter.requires_grad) for parameter in module.parameters()]
    return {"total": sum(count for count, _ in counts), "trainable": sum(count for count, trains in counts if trains)}


def elements(parameter: Any) -> int:
    """Elements of a parameter; bitsandbytes packs two 4-bit ones into a byte and keeps the shape aside."""
    state = getattr(parameter, "quant_state", None)
    return math.prod(state.shape) if state is not None else parameter.numel()
