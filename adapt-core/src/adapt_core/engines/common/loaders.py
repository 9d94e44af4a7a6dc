"""Loaders of batches: the rows of a process in Adapt's order, and worker processes that leave signals to the run."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch.utils.data import DataLoader

from adapt_core.engines.common.rows import (
    Collation,
    CountedRows,
    EpochBatches,
    EvaluationBatches,
    Failure,
    StreamedRows,
)
from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_core.terminal.signals import shield_worker


class EpochLoader(DataLoader[Any]):
    """A loader that can be told its epoch, and knows how long its batches were waited for.

    Attributes:
        waiting: seconds in which whoever iterates waited for a batch, the start of worker processes included.
    """

    waiting: float = 0.0

    def __iter__(self) -> Any:
        begin = time.perf_counter()
        batches = super().__iter__()
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            finally:
                self.waiting += time.perf_counter() - begin
            if isinstance(batch, Failure):
                raise AdaptError(batch.message, batch.hint)
            yield batch
            begin = time.perf_counter()

    def set_epoch(self, epoch: int, first: int = 0) -> None:
        """The epoch whose batches the next iteration gives, and how many of them it leaves out."""
        if isinstance(self.batch_sampler, EpochBatches):
            self.batch_sampler.set_epoch(epoch, first)


def is_stream(rows: Any) -> bool:
    """Whether rows come one after the other, so that nobody knows how many there are."""
    return not hasattr(rows, "__len__")


def training_loader(
    rows: Any, collate: Any, *, batch: int, group: int, seed: int, world: World, lengths: Any, workers: int
) -> EpochLoader:
    """Batches of a process's training rows; see :class:`EpochBatches` and :class:`StreamedRows` for their order."""
    if is_stream(rows):
        return _loader(StreamedRows(rows, batch, world), collate, workers, batch_size=batch)
    order = EpochBatches(rows, seed, batch, group, world, lengths)
    return _loader(CountedRows(rows), collate, workers, batch_sampler=order)


def evaluation_loader(rows: Any, collate: Any, *, batch: int, world: World, workers: int) -> EpochLoader:
    """Batches of a process's evaluation rows, in their order."""
    order = EvaluationBatches(len(rows), batch, world)
    own = torch.Generator()  # a loader draws a number when it starts: evaluating must not change what training draws
    return _loader(CountedRows(rows), collate, workers, batch_sampler=order, generator=own)


def _loader(rows: Any, collate: Any, workers: int, **keywords: Any) -> EpochLoader:
    return EpochLoader(
        rows,
        collate_fn=Collation(collate),
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_start_worker if workers else None,
        **keywords,
    )


def _start_worker(_: int) -> None:
    shield_worker()
