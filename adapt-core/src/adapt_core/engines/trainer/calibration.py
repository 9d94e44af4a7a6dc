"""Batches for methods that look at data before training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from adapt_core.engines.common.loaders import is_stream, training_loader
from adapt_core.engines.common.rows import NOT_COUNTED
from adapt_core.engines.trainer.trainer import AdaptTrainer
from adapt_core.interfaces import World


class CalibrationBatches:
    """The batches of the first epoch, in its order, each made when it is asked for, on the model's device.

    Every iteration begins anew, and every process gets the same. Of a stream, as many as the training takes.

    Args:
        trainer: gives rows, batch size, collation and device.
    """

    def __init__(self, trainer: AdaptTrainer) -> None:
        options, rows = trainer.training.options, trainer.train_dataset
        self._prepare: Any = trainer._prepare_input
        self._steps = options.max_steps if is_stream(rows) else None
        self._loader = training_loader(
            rows,
            trainer.data_collator,
            batch=options.batch_size,
            group=options.gradient_accumulation_steps,
            seed=trainer.args.seed,
            world=World(),
            lengths=trainer.training.inputs.lengths if options.group_by_length else None,
            workers=0,
        )

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for batch in islice(self._loader, self._steps):
            yield self._prepare({name: value for name, value in batch.items() if name != NOT_COUNTED})
