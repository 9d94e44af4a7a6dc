"""Which rows a process sees: every global batch is a function of (seed, epoch), and each process takes a share of it.

So the rows of a step do not depend on the number of processes, on what else draws random numbers, or on how often the
run was resumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, Sampler, get_worker_info

from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_core.utils.seeds import derived_seed

NOT_COUNTED = "adapt_not_counted"
"""The key that marks a batch as a stand-in: its process has no row in this step, and must still take part in it."""


@dataclass(frozen=True)
class Failure:
    """An error in the data, on its way out of a process that loads them: torch would make a traceback of it.

    Attributes:
        message, hint: of the :class:`~adapt_core.errors.AdaptError`.
    """

    message: str
    hint: str


def global_batches(
    rows: int, seed: int, epoch: int, size: int, lengths: Sequence[int] | None = None, group: int = 1
) -> Iterator[list[int]]:
    """The batches of one epoch, of all processes together; the last may be smaller.

    Args:
        rows: their number.
        seed: of the run.
        epoch: counted from 0.
        size: rows in a batch, over all processes.
        lengths: of the rows, for batches of like length; None for a plain permutation.
        group: batches that make one optimizer step, whose rows should be of like length.

    Returns:
        Row numbers, each once.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, epoch))
    if lengths is None:
        order = torch.randperm(rows, generator=generator).numpy()
    else:
        order = grouped_by_length(np.asarray(lengths), size * group, generator)
    for start in range(0, rows, size):
        yield order[start : start + size].tolist()


def grouped_by_length(lengths: np.ndarray, size: int, generator: torch.Generator) -> np.ndarray:
    """What ``transformers.trainer_pt_utils.get_length_grouped_indices`` gives, without a Python number for each row."""
    order = torch.randperm(len(lengths), generator=generator).numpy()
    block = max(min(len(lengths) // (size * 4), 50), 1) * size
    starts = np.arange(0, len(lengths), block)
    for start in starts:
        part = order[start : start + block]
        order[start : start + block] = part[np.argsort(-lengths[part], kind="stable")]
    longest = starts[np.argmax(lengths[order[starts]])]
    order[[0, longest]] = order[[longest, 0]]
    return order


def share(rows: Sequence[Any], rank: int, size: int) -> Sequence[Any]:
    """The part of some rows that is a process's: contiguous, and as large as the others' within one row."""
    each, more = divmod(len(rows), size)
    start = rank * each + min(rank, more)
    return rows[start : start + each + (rank < more)]


class EpochBatches(Sampler[list[int]]):
    """A process's share of every global batch of an epoch.

    Where a batch has fewer rows than there are processes, those without one get its first row as a stand-in, as the
    number ``-1 - row``; :class:`CountedRows` knows it.

    Args:
        rows: the data set; told the epoch where it has ``set_epoch``.
        seed: of the run.
        batch: rows in a batch on each process.
        group: batches in an optimizer step.
        world: the processes.
        lengths: of the rows, for batches of like length.
    """

    def __init__(
        self, rows: Any, seed: int, batch: int, group: int, world: World, lengths: Sequence[int] | None = None
    ) -> None:
        self.rows = rows
        self.seed = seed
        self.size = batch * world.size
        self.group = group
        self.world = world
        self.lengths = lengths
        self.epoch = self.first = 0

    def set_epoch(self, epoch: int, first: int = 0) -> None:
        """The epoch whose batches the next iteration gives, and how many of them it leaves out."""
        self.epoch, self.first = epoch, first
        if hasattr(self.rows, "set_epoch"):
            self.rows.set_epoch(epoch)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        batches = global_batches(len(self.rows), self.seed, self.epoch, self.size, self.lengths, self.group)
        for batch in islice(batches, self.first, None):
            mine = share(batch, self.world.rank, self.world.size)
            yield list(mine) if mine else [-1 - batch[0]]


class EvaluationBatches(Sampler[list[int]]):
    """A process's share of the rows, in their order, in batches; every process has as many.

    Args:
        rows: their number.
        batch: rows in a batch.
        world: the processes.
    """

    def __init__(self, rows: int, batch: int, world: World) -> None:
        mine = share(range(rows), world.rank, world.size)
        self.batches = [list(mine[start : start + batch]) for start in range(0, len(mine), batch)]
        largest = len(share(range(rows), 0, world.size))
        self.batches += [[-1]] * (-(-largest // batch) - len(self.batches))

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


class CountedRows(Dataset[Any]):
    """A data set whose rows say whether they count: ``(row, counted)``. See :class:`EpochBatches`."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Any, bool]:
        try:
            return (self.rows[index], True) if index >= 0 else (self.rows[-1 - index], False)
        except AdaptError as error:
            return Failure(error.message, error.hint), True


class StreamedRows(IterableDataset[Any]):
    """A process's share of rows that come one after the other, without end: pass after pass.

    A pass is an epoch, of which the rows are told where they have ``set_epoch``. Global batches are made of rows as
    they come, over the end of a pass, and each process takes its share of each. Worker processes take whole batches by
    turns, as the loader asks them: their number changes nothing.

    Args:
        rows: an iterable that can be iterated again.
        batch: rows in a batch on each process.
        world: the processes.
    """

    def __init__(self, rows: Any, batch: int, world: World) -> None:
        self.rows = rows
        self.batch = batch
        self.world = world

    def __iter__(self) -> Iterator[tuple[Any, bool]]:
        try:
            yield from self._mine()
        except AdaptError as error:
            yield Failure(error.message, error.hint), True

    def _mine(self) -> Iterator[tuple[Any, bool]]:
        worker = get_worker_info()
        workers, own = (worker.num_workers, worker.id) if worker else (1, 0)
        for place, row in enumerate(self._endless()):
            number, within = divmod(place, self.batch * self.world.size)
            if number % workers == own and within // self.batch == self.world.rank:
                yield row, True

    def _endless(self) -> Iterator[Any]:
        for epoch in count():
            if hasattr(self.rows, "set_epoch"):
                self.rows.set_epoch(epoch)
            empty = True
            for row in self.rows:
                empty = False
                yield row
            if empty:
                raise AdaptError("The stream has no rows that can be trained on", "Check what it is read from.")


class Collation:
    """Makes a batch of rows that say whether they count; marks it where none does.

    Args:
        collate: the task's own, which takes rows.
    """

    def __init__(self, collate: Any) -> None:
        self.collate = collate

    def __call__(self, rows: Sequence[tuple[Any, bool]]) -> Any:
        for row, _ in rows:
            if isinstance(row, Failure):
                return row
        batch = self.collate([row for row, _ in rows])
        return batch if any(counted for _, counted in rows) else {**batch, NOT_COUNTED: True}
