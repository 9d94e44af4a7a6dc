"""Charts as inline SVG. Colours are the page's, by class, so that a chart is legible in light and in dark."""

from __future__ import annotations

import math
from dataclasses import dataclass

from adapt_core.report.curves import Chart, Point, Series
from adapt_core.utils.units import number_text

WIDTH, HEIGHT = 640, 270
LEFT, RIGHT, TOP, BOTTOM = 58, 24, 12, 40

MOST_VERTICES = 800
"""The most corners of a drawn curve; of more points, the lowest and the highest of every stretch are drawn."""

MOST_HOVERS = 120
"""The most points of a curve that show their value under the pointer."""

STYLES = 6
"""How many colours and dash patterns the page has for curves; further curves use them again."""


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis, in the drawing's coordinates."""

    at: float
    label: str


@dataclass(frozen=True)
class Hover:
    """A point with the text that it shows."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Curve:
    """A drawn series.

    Attributes:
        style: the number of its colour.
        path: the ``d`` of its SVG path; it breaks off where a value is missing.
        hovers: its points, thinned out.
        dots: whether the points are few enough to be drawn as dots.
        summary: its first and last value, in words.
    """

    name: str
    style: int
    path: str
    hovers: tuple[Hover, ...]
    dots: bool
    summary: str


@dataclass(frozen=True)
class Drawing:
    """A chart with everything placed.

    Attributes:
        missing: places of values that were no finite number.
        note: what the reader should know of them; empty when there are none.
    """

    title: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    curves: tuple[Curve, ...]
    missing: tuple[Hover, ...]
    note: str


def draw(chart: Chart) -> Drawing:
    """Places a chart's axes and curves. At least one of its values is a finite number."""
    points = [point for series in chart.series for point in series.points]
    values = [point.value for point in points if point.value is not None]
    x_axis = _Axis(min(p.step for p in points), max(p.step for p in points), LEFT, WIDTH - RIGHT, whole=True)
    y_axis = _Axis(min(values), max(values), HEIGHT - BOTTOM, TOP, margin=0.05)
    missing = sorted({point.step for point in points if point.value is None})
    places = tuple(Hover(x_axis.place(step), HEIGHT - BOTTOM, f"step {step}: not a finite number") for step in missing)
    note = ""
    if missing:
        shown = ", ".join(str(step) for step in missing[:10]) + (", …" if len(missing) > 10 else "")
        note = f"Not a finite number after step {shown}."
    return Drawing(
        title=chart.title,
        x_ticks=x_axis.ticks(6),
        y_ticks=y_axis.ticks(5),
        curves=tuple(_curve(series, number % STYLES, x_axis, y_axis) for number, series in enumerate(chart.series)),
        missing=places,
        note=note,
    )


class _Axis:
    """Maps values to coordinates."""

    def __init__(
        self, low: float, high: float, start: float, end: float, *, margin: float = 0.0, whole: bool = False
    ) -> None:
        spread = (high - low) or abs(high) or 1.0
        # Nothing that is never negative gets an axis that goes below zero.
        self.low = max(low - margin * spread, 0.0) if low >= 0 else low - margin * spread
        self.high = high + margin * spread if high > low or margin else high + 1
        self.start, self.end = start, end
        self.whole = whole

    def place(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, about: int) -> tuple[Tick, ...]:
        """Round numbers, about so many."""
        rough = (self.high - self.low) / about
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough)
        if self.whole:
            step = max(1.0, step)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        numbers = range(first, last + 1)
        return tuple(Tick(self.place(number * step), _label(number * step, step)) for number in numbers)


def _label(value: float, step: float) -> str:
    """All labels of an axis have as many decimals as its step needs; short enough to fit the margin."""
    if value and step < 1e-3:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    if abs(value) >= 1e6:
        return f"{value:.3g}"
    return f"{value:,.{max(0, -math.floor(math.log10(step)))}f}" if value else "0"


def _curve(series: Series, style: int, x_axis: _Axis, y_axis: _Axis) -> Curve:
    known = [point for point in series.points if point.value is not None]
    stride = math.ceil(len(known) / MOST_HOVERS)
    chosen = known[::stride] if known[::stride][-1] is known[-1] else [*known[::stride], known[-1]]
    hovers = tuple(
        Hover(x_axis.place(point.step), y_axis.place(point.value or 0.0), f"{series.name}, {_words(point)}")
        for point in chosen
    )
    summary = f"{series.name}: {_words(known[0])}"
    if len(known) > 1:
        summary += f"; {_words(known[-1])}"
    return Curve(series.name, style, _path(series.points, x_axis, y_axis), hovers, len(known) <= 40, summary)


def _words(point: Point) -> str:
    epoch = f" (epoch {point.epoch:.2f})" if point.epoch is not None else ""
    return f"step {point.step}{epoch}: {number_text(point.value or 0.0)}"


def _path(points: tuple[Point, ...], x_axis: _Axis, y_axis: _Axis) -> str:
    parts = []
    pen_down = False
    for point in _thinned(points):
        if point.value is None:
            pen_down = False
            continue
        parts.append(f"{'L' if pen_down else 'M'}{x_axis.place(point.step)} {y_axis.place(point.value)}")
        pen_down = True
    return "".join(parts)


def _thinned(points: tuple[Point, ...]) -> list[Point]:
    """Of many points, the lowest and the highest of every stretch, so that no spike is lost; gaps stay."""
    size = math.ceil(2 * len(points) / MOST_VERTICES)
    if size <= 2:
        return list(points)
    kept: list[Point] = []
    for begin in range(0, len(points), size):
        stretch = points[begin : begin + size]
        known = [point for point in stretch if point.value is not None]
        extremes = [min(known, key=_height), max(known, key=_height)] if known else []
        gap = next((point for point in stretch if point.value is None), None)
        chosen = {id(point): point for point in (*extremes, gap) if point is not None}
        kept.extend(sorted(chosen.values(), key=lambda point: point.step))
    return kept


def _height(point: Point) -> float:
    return point.value if point.value is not None else 0.0
