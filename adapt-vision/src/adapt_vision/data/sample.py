"""Draws rows with the seed: a part held out for evaluation, and fewer rows than there are.

Every draw is stratified and a function of the labels and the seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random


def hold_out(labels: Sequence[str], share: float, seed: int) -> list[int]:
    """Row numbers to evaluate on, ascending: each class by its share of the rows, one row at least in all.

    Every class keeps a row for training, so that none is drawn where every class has a single row.
    """
    mixed = _mixed(labels, f"held out, seed {seed}")
    spare = [row for rows in mixed for row in rows[1:]]
    return sorted(_evenly(spare, min(max(1, round(share * len(labels))), len(spare))))


def draw(labels: Sequence[str], count: int, seed: int, purpose: str) -> list[int]:
    """Row numbers of ``count`` rows, ascending: each class by its share, and one row of it where there is place.

    Args:
        purpose: names the draw, so that two draws with one seed are independent.
    """
    if count >= len(labels):
        return list(range(len(labels)))
    mixed = _mixed(labels, f"{purpose}, seed {seed}")
    first = [rows[0] for rows in mixed]
    if count < len(first):
        return sorted(_evenly(first, count))
    return sorted(first + _evenly([row for rows in mixed for row in rows[1:]], count - len(first)))


def _mixed(labels: Sequence[str], key: str) -> list[list[int]]:
    """The rows of every class in random order, the classes in random order."""
    random = Random(key)
    classes: dict[str, list[int]] = {label: [] for label in sorted(sorted(set(labels)), key=lambda _: random.random())}
    # random() is one of the few draws whose sequence Python guarantees.
    for _, row in sorted((random.random(), row) for row in range(len(labels))):
        classes[labels[row]].append(row)
    return list(classes.values())


def _evenly(rows: Sequence[int], count: int) -> list[int]:
    """``count`` of the rows at even distances: of rows in order of class, each class by its share."""
    return [row for place, row in enumerate(rows) if (place + 1) * count // len(rows) > place * count // len(rows)]
