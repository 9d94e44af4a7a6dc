"""How many parameters a model has."""

from __future__ import annotations

from torch import nn

from adapt_core.models.quantized import parameters_counted


def count_parameters(module: nn.Module) -> dict[str, int]:
    """How many numbers the model's parameters stand for: ``total`` and ``trainable``."""
    counts = [(count, parameter.requires_grad) for parameter, count in parameters_counted(module)]
    return {"total": sum(count for count, _ in counts), "trainable": sum(count for count, trains in counts if trains)}
