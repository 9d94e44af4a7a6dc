"""How much outputs may differ by rounding alone."""

from __future__ import annotations

from typing import Any

TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
"""Largest difference of outputs by rounding, as a share of the largest output, by the dtype that is computed in.

An adapter or a whole model reloads exactly; merging rounds once a weight.
"""


def tolerance_for(module: Any) -> float:
    """The tolerance for a model, by the dtype of its first floating-point parameter."""
    dtype = next((str(each.dtype) for each in module.parameters() if each.is_floating_point()), "")
    return TOLERANCE.get(dtype.removeprefix("torch."), TOLERANCE["float32"])


def compared(before: Any, after: Any) -> tuple[float, float]:
    """The largest absolute difference of two arrays of outputs, and the largest output before."""
    return float(abs(after - before).max()), float(abs(before).max())


def rounding(share: float, largest: float) -> float:
    """The difference that rounding may make: a share of the largest output, or of 1 where that is smaller."""
    return share * max(largest, 1.0)
