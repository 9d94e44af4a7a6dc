"""The order of the training rows, as a function of (seed, epoch) and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from adapt_core.utils.seeds import derived_seed


class EpochSampler(Sampler[int]):
    """A fresh permutation of the rows each epoch, in batches of like length where lengths are given.

    It draws from its own generator, so that the order depends neither on what else draws random numbers nor on how
    often the run was resumed.

    Args:
        rows: number of rows.
        seed: of the run.
        lengths: of the rows; None for a plain permutation.
        group: rows that should be of like length: those of one optimizer step.
    """

    def __init__(self, rows: int, seed: int, lengths: Sequence[int] | None, group: int) -> None:
        self.rows = rows
        self.seed = seed
        self.lengths = None if lengths is None else list(lengths)
        self.group = group
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch whose order the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(derived_seed(self.seed, self.epoch))
        if self.lengths is None:
            yield from torch.randperm(self.rows, generator=generator).tolist()
        else:
            yield from get_length_grouped_indices(self.lengths, self.group, generator=generator)
