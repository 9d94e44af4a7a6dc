"""When a classifier is said to have learnt nothing, from counts made by hand."""

from __future__ import annotations

import re

import pytest

from adapt_core.utils.majority import why_not_learnt

NAMES = ["cat", "dog", "owl"]


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ([[0, 4, 0], [0, 5, 0], [0, 2, 0]], "predicts 'dog' for every one of 11 evaluation rows"),
        ([[9, 0, 0], [2, 0, 0], [1, 0, 0]], "predicts 'cat' for every one of 12"),  # also where that is often right
        ([[2, 2, 0], [1, 3, 2], [0, 1, 0]], "right on 5 of 11 .* frequent class, 'dog', is right on 6"),
        ([[2, 2, 0], [1, 4, 1], [0, 1, 0]], "right on 6 of 11 .* 'dog', is right on 6"),  # as often
        ([[600, 600, 0], [500, 600, 300], [0, 0, 0]], "right on 1,200 of 2,600 .* 'dog', is right on 1,400"),
    ],
)
def test_what_shows_that_nothing_was_learnt_is_said(matrix: list[list[int]], said: str) -> None:
    found = why_not_learnt(matrix, NAMES)
    assert found is not None
    assert re.search(said, found)
    assert "training.lr" in found


@pytest.mark.parametrize(
    "matrix",
    [
        [[3, 1, 0], [1, 4, 1], [0, 1, 0]],  # one more than the most frequent class has rows
        [[4, 0, 0], [0, 6, 0], [0, 0, 1]],
        [[0, 0, 0], [0, 7, 0], [0, 0, 0]],  # a single class, which tells nothing: predicted rightly,
        [[0, 0, 0], [3, 4, 0], [0, 0, 0]],  # … in part,
        [[0, 0, 0], [7, 0, 0], [0, 0, 0]],  # … or never
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],  # no rows
    ],
)
def test_nothing_is_said_of_a_model_that_learns_or_of_rows_that_tell_nothing(matrix: list[list[int]]) -> None:
    assert why_not_learnt(matrix, NAMES) is None
