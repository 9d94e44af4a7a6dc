"""Which curves the lines of ``metrics.jsonl`` make.

A line is ``{"step": 20, "epoch": 0.5, "loss": 0.61, "learning_rate": 1e-4}`` or, of an evaluation,
``{"step": 40, "epoch": 1.0, "eval_loss": 0.52, "eval_accuracy": 0.78}``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PLACES = ("step", "epoch")
"""Keys that say where a line stands, not what was measured."""


@dataclass(frozen=True)
class Point:
    """A value after a step; None where it was no finite number."""

    step: int
    epoch: float | None
    value: float | None


@dataclass(frozen=True)
class Series:
    """One curve."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Chart:
    """Curves that share their axes."""

    title: str
    series: tuple[Series, ...]


def charts(metrics: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """The charts of a run, those without a curve left out.

    Losses share one chart. Evaluation metrics that are shares, from 0 to 1, share one; everything else has its own.
    """
    keys = list(dict.fromkeys(key for line in metrics for key in line if key not in PLACES))
    found = {key: series for key in keys if (series := _series(key, metrics)) is not None}
    losses = [key for key in found if key.removeprefix("eval_").split("_")[0] == "loss"]
    shares = [key for key in found if key.startswith("eval_") and key not in losses and _is_share(found[key])]
    single = [key for key in found if key not in losses and key not in shares]
    groups = [("Loss", losses), ("Evaluation", shares), *((readable(key).capitalize(), [key]) for key in single)]
    drawn = [Chart(title, tuple(found[key] for key in group)) for title, group in groups if group]
    # A single evaluation is a number in the table, not a curve; beside another curve it is a point worth seeing.
    return [chart for chart in drawn if any(len(series.points) > 1 for series in chart.series)]


def evaluations(metrics: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The lines that hold results of an evaluation."""
    return [line for line in metrics if any(key.startswith("eval_") for key in line)]


def training_log(metrics: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The other lines."""
    return [line for line in metrics if not any(key.startswith("eval_") for key in line)]


def readable(key: str) -> str:
    """``eval_f1_macro`` is ``f1 macro``; losses say of which rows they are."""
    return _NAMES.get(key) or key.removeprefix("eval_").replace("_", " ")


_NAMES = {"loss": "training loss", "eval_loss": "evaluation loss", "grad_norm": "gradient norm"}


def finite(value: Any) -> float | None:
    """The value as a float if it is a finite number, None otherwise."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def _series(key: str, metrics: Sequence[Mapping[str, Any]]) -> Series | None:
    """The curve of a key; None when it never held a finite number."""
    points = tuple(
        Point(int(line["step"]), finite(line.get("epoch")), finite(line[key]))
        for line in metrics
        if key in line and "step" in line and not isinstance(line[key], (str, list, dict, bool))
    )
    return Series(readable(key), points) if any(point.value is not None for point in points) else None


def _is_share(series: Series) -> bool:
    return all(0 <= point.value <= 1 for point in series.points if point.value is not None)
