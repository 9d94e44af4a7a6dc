"""Draws rows with the seed: a part held out for evaluation, and fewer rows than there are.

Every draw is stratified and a function of the labels and the seed alone: the same rows on every platform, for
``random.Random(text).random()`` is one of the few generators whose sequence Python guarantees.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from hashlib import blake2b
from random import Random

import numpy as np


def hold_out(labels: Sequence[int], share: float, seed: int) -> list[int]:
    """Row numbers to evaluate on, ascending: the share of all rows, each class by its own share.

    Every class keeps at least one row for training, so that a class with a single row is not among them. At least
    one row is drawn; none when every class has a single row.
    """
    _, rest = _by_class(labels, f"held out, seed {seed}")
    count = max(1, int(share * len(labels) + 0.5))
    return _ascending(_evenly(rest, min(count, len(rest))))


def hold_out_groups(groups: Sequence[Hashable], share: float, seed: int) -> list[int]:
    """Row numbers to evaluate on, ascending: whole groups in random order, until they hold the share of all rows.

    The groups count by their places in the data. One at least is drawn and one at least is left; none is drawn where
    there is one group.
    """
    _, first, code = np.unique(hashes_of(map(repr, groups)), return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)  # of each group among all, by its first row
    place[np.argsort(first)] = np.arange(len(first))
    random = Random(f"groups held out, seed {seed}")
    drawn = np.fromiter((random.random() for _ in first), float, len(first))
    sizes = np.bincount(place[code])
    order = np.argsort(drawn, kind="stable")[:-1]
    enough = np.searchsorted(np.cumsum(sizes[order]), share * len(groups)) + 1
    chosen = np.zeros(len(first), bool)
    chosen[order[:enough]] = True
    return _ascending(np.flatnonzero(chosen[place[code]]))


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
        return _ascending(_evenly(first, count))
    return _ascending(np.concatenate([first, _evenly(rest, count - len(first))]))


def hashes_of(texts: Iterable[str]) -> np.ndarray:
    """64 bits for each text, uint64; equal for equal texts, everywhere."""
    digests = (int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) for text in texts)
    return np.fromiter(digests, np.uint64)


def _by_class(labels: Sequence[int], key: str) -> tuple[np.ndarray, np.ndarray]:
    """One random row of each class, and the other rows class by class; classes and rows in random order."""
    random = Random(key)
    classes, code = np.unique(np.asarray(labels), return_inverse=True)
    class_order = np.array([random.random() for _ in classes])
    row_order = np.fromiter((random.random() for _ in labels), float, len(labels))
    rows = np.lexsort((row_order, code, class_order[code]))
    of_class = code[rows]
    is_first = np.append(True, of_class[1:] != of_class[:-1])
    return rows[is_first], rows[~is_first]


def _evenly(rows: np.ndarray, count: int) -> np.ndarray:
    """``count`` of the rows at even distances: of rows in order of class, each class by its share, within one row."""
    if not len(rows):
        return rows
    steps = np.arange(len(rows) + 1) * count // len(rows)
    return rows[steps[1:] > steps[:-1]]


def _ascending(rows: np.ndarray) -> list[int]:
    return [int(row) for row in np.sort(rows)]
