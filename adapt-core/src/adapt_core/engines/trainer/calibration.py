"""Batches for methods that look at data before training, and random numbers that do not notice."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

if TYPE_CHECKING:
    from transformers import Trainer

    from adapt_core.engines.trainer.inputs import TrainerInputs


class CalibrationBatches:
    """The batches of the first epoch, in its order, each made when it is asked for, on the model's device.

    Every iteration begins anew. The Trainer's own loader is left alone: accelerate counts what is read from it.

    Args:
        trainer: gives batch size, collation and device.
        inputs: the rows.
        order: the sampler of the training rows, at the first epoch.
    """

    def __init__(self, trainer: Trainer, inputs: TrainerInputs, order: Sampler[int]) -> None:
        self._prepare: Any = trainer._prepare_input
        size = trainer.args.train_batch_size
        self._loader = DataLoader(inputs.train, size, sampler=order, collate_fn=inputs.collate)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for batch in self._loader:
            yield self._prepare(batch)


@contextmanager
def randomness_kept() -> Iterator[None]:
    """Python's, NumPy's and torch's generators, those of all GPUs included, are afterwards as they were before."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
