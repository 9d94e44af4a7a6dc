"""How much outputs may differ by rounding alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
"""Largest difference of outputs by rounding, as a share of the largest output, by the dtype that is computed in.

An adapter or a whole model reloads exactly; merging rounds once a weight.
"""


def tolerance_for(module: Any) -> float:
    """The tolerance for a model, by the dtype of its first floating-point parameter."""
    dtype = next((str(each.dtype) for each in module.parameters() if each.is_floating_point()), "")
    return TOLERANCE.get(dtype.removeprefix("torch."), TOLERANCE["float32"])


def compared(before: Sequence[Any], after: Sequence[Any]) -> tuple[float, float]:
    """The largest absolute difference of two lists of outputs, and the largest output before.

    Args:
        before, after: an array a row, of any shape.

    Returns:
        The difference is infinite where a row has another shape, and NaN where an output is none.
    """
    shapes = [[each.shape for each in rows] for rows in (before, after)]
    largest = max((float(abs(row).max()) for row in before if row.size), default=0.0)
    if shapes[0] != shapes[1]:
        return math.inf, largest
    pairs = zip(before, after, strict=True)
    differences = [float(abs(new - old).max()) for old, new in pairs if old.size]
    return math.nan if any(map(math.isnan, differences)) else max(differences, default=0.0), largest


def rounding(share: float, largest: float) -> float:
    """The difference that rounding may make: a share of the largest output, or of 1 where that is smaller."""
    return share * max(largest, 1.0)
