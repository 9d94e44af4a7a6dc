"""Rows of a stream, whatever processes and workers take them, and batches of like length without Python numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from transformers.trainer_pt_utils import get_length_grouped_indices

from adapt_core.engines.common.loaders import training_loader
from adapt_core.engines.common.rows import grouped_by_length
from adapt_core.errors import AdaptError
from adapt_core.interfaces import World


class Numbers:
    """Ten numbers a pass, those of the second pass from 100."""

    def __init__(self, bad: int | None = None) -> None:
        self.bad, self.epoch = bad, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        for number in range(10):
            if number == self.bad:
                raise AdaptError(f"row {number} is bad", "Mend it.")
            yield 100 * self.epoch + number


class Second(World):
    """The second of two processes."""

    rank, size = 1, 2


def batches(rows: Any, world: World, workers: int, count: int) -> list[list[int]]:
    loader = training_loader(rows, list, batch=3, group=1, seed=1, world=world, lengths=None, workers=workers)
    return list(islice(loader, count))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_batches_of_a_stream_do_not_depend_on_the_number_of_workers(workers: int) -> None:
    expected = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 100, 101], [102, 103, 104]]
    assert batches(Numbers(), World(), workers, 5) == expected
    assert batches(Numbers(), Second(), workers, 2) == [[3, 4, 5], [9, 100, 101]]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_stream_is_told_as_it_is(workers: int) -> None:
    with pytest.raises(AdaptError) as error:
        batches(Numbers(bad=7), World(), workers, 9)
    assert (error.value.message, error.value.hint) == ("row 7 is bad", "Mend it.")
    with pytest.raises(AdaptError, match="no rows"):
        batches(iter(()), World(), 0, 1)


def test_an_error_in_rows_that_are_known_is_told_as_it_is() -> None:
    class Rows:
        def __len__(self) -> int:
            return 4

        def __getitem__(self, row: int) -> int:
            raise AdaptError("gone", "Restore it.")

    with pytest.raises(AdaptError) as error:
        batches(Rows(), World(), 2, 1)
    assert (error.value.message, error.value.hint) == ("gone", "Restore it.")


def test_rows_of_like_length_come_in_the_order_of_transformers() -> None:
    for seed in range(60):
        draw = random.Random(seed)
        lengths = [draw.randrange(1, draw.randrange(2, 60)) for _ in range(draw.randrange(1, 900))]
        size = draw.randrange(1, 40)
        theirs = get_length_grouped_indices(lengths, size, generator=torch.Generator().manual_seed(seed))
        ours = grouped_by_length(np.asarray(lengths), size, torch.Generator().manual_seed(seed))
        assert ours.tolist() == theirs
