"""Draws rows with the seed: a part held out for evaluation, and fewer rows than there are.

Every draw is stratified and a function of the labels and the seed alone: the same rows on every platform, for
``random.Random(text).random()`` is one of the few generators whose sequence Python guarantees.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from random import Random


def hold_out(labels: Sequence[int], share: float, seed: int) -> list[int]:
    """Row numbers to evaluate on, ascending: the share of all rows, each class by its own share.

    Every class keeps at least one row for training, so that a class with a single row is not among them. At least
    one row is drawn; none when every class has a single row.
    """
    _, rest = _by_class(labels, f"held out, seed {seed}")
    count = max(1, int(share * len(labels) + 0.5))
    return sorted(_evenly(rest, min(count, len(rest))))


def hold_out_groups(groups: Sequence[Hashable], share: float, seed: int) -> list[int]:
    """Row numbers to evaluate on, ascending: whole groups in random order, until they hold the share of all rows.

    The groups count by their places in the data. One at least is drawn and one at least is left; none is drawn where
    there is one group.
    """
    members: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    random = Random(f"groups held out, seed {seed}")
    order = sorted(members.values(), key=lambda rows: (random.random(), rows))
    held: list[int] = []
    for rows in order[:-1]:
        held += rows
        if len(held) >= share * len(groups):
            break
    return sorted(held)


def draw(labels: Sequence[int], count: int, seed: int, purpose: str) -> list[int]:
    """Row numbers of ``count`` rows, ascending: each class by its share, and at least one row of it where there
    are as many places as classes.

    Args:
        purpose: names the draw, so that two draws with one seed are independent.
    """
    if count >= len(labels):
        return list(range(len(labels)))
    first, rest = _by_class(labels, f"{purpose}, seed {seed}")
    if count < len(first):
        return sorted(_evenly(first, count))
    return sorted(first + _evenly(rest, count - len(first)))


def _by_class(labels: Sequence[int], key: str) -> tuple[list[int], list[int]]:
    """One random row of each class, and the other rows class by class; classes and rows in random order."""
    random = Random(key)
    class_order = {label: random.random() for label in sorted(set(labels))}
    row_order = [random.random() for _ in labels]
    rows = sorted(range(len(labels)), key=lambda row: (class_order[labels[row]], labels[row], row_order[row], row))
    first: dict[int, int] = {}
    for row in rows:
        first.setdefault(labels[row], row)
    return list(first.values()), [row for row in rows if first[labels[row]] != row]


def _evenly(rows: list[int], count: int) -> list[int]:
    """``count`` of the rows at even distances: of rows in order of class, each class by its share, within one row."""
    return [row for place, row in enumerate(rows) if (place + 1) * count // len(rows) > place * count // len(rows)]
