"""Numbers, and many values, as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

SHOWN = 5
"""So many values are named in a message; the others are counted."""


def listed(values: Sequence[Any], total: int | None = None) -> str:
    """``"1, 2, 3 and 20 more"``: the first values, and how many of ``total`` are left out."""
    total = len(values) if total is None else total
    shown = ", ".join(str(value) for value in values[:SHOWN])
    left = total - min(len(values), SHOWN)
    return f"{shown} and {left} more" if left > 0 else shown


def shortened(value: Any) -> str:
    """A value as Python writes it, cut to the length of a message."""
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def bytes_text(count: float) -> str:
    """A size in decimal units: ``1_500_000`` is ``"1.5 MB"``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return f"{count:.0f} {unit}" if unit == "bytes" or abs(count) >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def seconds_text(seconds: float) -> str:
    """A duration: ``65`` is ``"1 min 05 s"``, ``0.26`` is ``"0.3 s"``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def number_text(value: float, digits: int = 4) -> str:
    """A number with so many significant digits at least; ``22713216`` is ``"22,713,216"``."""
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "-∞"}.get(value, "not a number")
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 10**digits:
        return f"{round(value):,}"
    return f"{value:.{digits}g}"
