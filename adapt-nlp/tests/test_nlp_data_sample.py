"""Drawing rows with the seed."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapt_nlp.data.sample import draw, hold_out

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=200)


@given(LABELS, st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_what_is_held_out_leaves_every_class_to_train_on(labels: list[int], share: float, seed: int) -> None:
    held = hold_out(labels, share, seed)
    assert held == sorted(set(held))
    counts, drawn = Counter(labels), Counter(labels[row] for row in held)
    assert all(drawn[label] < counts[label] for label in counts)
    assert bool(held) == any(count > 1 for count in counts.values())
    wanted = max(1, int(share * len(labels) + 0.5))
    assert len(held) == min(wanted, len(labels) - len(counts))


@given(st.lists(st.integers(30, 90), min_size=2, max_size=5), st.floats(0.05, 0.5), st.integers(0, 99))
def test_each_class_is_held_out_by_its_share(sizes: list[int], share: float, seed: int) -> None:
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    drawn = Counter(labels[row] for row in hold_out(labels, share, seed))
    assert all(abs(drawn[label] - share * size) <= 2.5 for label, size in enumerate(sizes))


def test_equal_classes_are_held_out_equally() -> None:
    labels = [row % 77 for row in range(77 * 30)]
    assert Counter(labels[row] for row in hold_out(labels, 0.1, 56)) == dict.fromkeys(range(77), 3)


@given(LABELS, st.integers(1, 220), st.integers(0, 2**32 - 1))
def test_a_draw_keeps_every_class_while_there_is_room(labels: list[int], count: int, seed: int) -> None:
    rows = draw(labels, count, seed, "test")
    assert rows == sorted(set(rows))
    assert len(rows) == min(count, len(labels))
    classes = len(set(labels))
    assert len({labels[row] for row in rows}) == min(count, classes)


@given(st.lists(st.integers(50, 200), min_size=2, max_size=5), st.integers(20, 90), st.integers(0, 99))
def test_a_draw_takes_each_class_by_its_share(sizes: list[int], count: int, seed: int) -> None:
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    drawn = Counter(labels[row] for row in draw(labels, count, seed, "test"))
    assert all(abs(drawn[label] - count * size / len(labels)) <= 4 for label, size in enumerate(sizes))


def test_a_draw_is_a_function_of_its_seed_and_purpose() -> None:
    labels = [row % 3 for row in range(90)]
    assert draw(labels, 20, 1, "a") == draw(labels, 20, 1, "a")
    assert len({tuple(draw(labels, 20, seed, purpose)) for seed in (1, 2) for purpose in "ab"}) == 4
    assert hold_out(labels, 0.2, 1) != hold_out(labels, 0.2, 2)


@pytest.mark.parametrize(
    ("labels", "share", "seed", "expected"),
    [([0, 1] * 10, 0.3, 56, [2, 3, 11, 14, 18, 19]), ([0] * 9 + [1] * 3, 0.25, 7, [6, 7, 11])],
)
def test_the_rows_held_out_are_these_on_every_platform(
    labels: list[int], share: float, seed: int, expected: list[int]
) -> None:
    assert hold_out(labels, share, seed) == expected


def test_every_row_is_drawn_equally_often() -> None:
    labels = [0] * 10 + [1] * 10
    drawn = Counter(row for seed in range(2000) for row in draw(labels, 10, seed, "test"))
    assert len(drawn) == 20
    assert all(abs(count - 1000) < 5 * (2000 * 0.25) ** 0.5 for count in drawn.values())
