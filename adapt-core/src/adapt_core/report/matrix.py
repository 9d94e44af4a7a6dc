"""A confusion matrix as a table whose colours say what the numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapt_core.bundles import Section

COMPACT_FROM = 13
"""From this many classes on, cells are drawn small and show their numbers under the pointer."""

MOST_PAIRS = 15
"""The most confused pairs that are listed."""


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        share: of its row, 0 to 1; what its colour shows.
        hit: whether it lies on the diagonal.
        strong: whether its colour is dark enough to need white text.
        text: what the pointer shows.
    """

    count: int
    share: float
    hit: bool
    strong: bool
    text: str


@dataclass(frozen=True)
class Label:
    """One class: how many rows truly belong to it, and how well they are told; None where that would divide by zero."""

    name: str
    rows: int
    recall: float | None
    precision: float | None
    f1: float | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Pair:
    """A confusion: so many rows of one class were taken for another, and their share of that class."""

    truth: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class Matrix:
    """A matrix ready to be shown.

    Attributes:
        compact: whether its cells are drawn small, without their numbers.
        turned: whether its headings stand upright, since there are too many of them, or too long ones, to lie.
    """

    title: str
    labels: tuple[Label, ...]
    pairs: tuple[Pair, ...]
    compact: bool
    turned: bool


def matrix_of(section: Section) -> Matrix:
    """The matrix of a section whose rows are counts, true classes down and predicted ones across."""
    names = [str(name) for name in section.columns]
    counts = [[int(value) for value in row] for row in section.rows]
    totals = [sum(row) for row in counts]
    predicted = [sum(column) for column in zip(*counts, strict=True)]
    labels = tuple(
        _label(number, names, counts[number], totals[number], predicted[number]) for number in range(len(names))
    )
    pairs = [
        Pair(names[row], names[column], count, count / totals[row])
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
        if row != column and count
    ]
    pairs.sort(key=lambda pair: (-pair.count, -pair.share))
    return Matrix(
        title=section.title,
        labels=labels,
        pairs=tuple(pairs[:MOST_PAIRS]),
        compact=len(names) >= COMPACT_FROM,
        turned=sum(max(len(name), 6) for name in names) > 80,
    )


def _label(number: int, names: Sequence[str], counts: Sequence[int], total: int, predicted: int) -> Label:
    right = counts[number]
    cells = tuple(
        Cell(
            count=count,
            share=round(count / total, 3) if total else 0.0,
            hit=column == number,
            # Where white on the colour reads better than black, on a white page: see the colours in style.css.
            strong=bool(total) and count / total > (0.78 if column == number else 0.87),
            text=f"{names[number]} → {names[column]}: {count}"
            + (f" ({count / total:.1%} of {total})" if total else ""),
        )
        for column, count in enumerate(counts)
    )
    return Label(
        name=names[number],
        rows=total,
        recall=right / total if total else None,
        precision=right / predicted if predicted else None,
        f1=2 * right / (total + predicted) if total + predicted else None,
        cells=cells,
    )
