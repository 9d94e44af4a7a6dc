"""Measures a model on rows, batch by batch: sums and counts, so that batching and processes change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch

from adapt_core.bundles import Evaluated
from adapt_core.engines.common.rows import NOT_COUNTED
from adapt_core.interfaces import Meter, World
from adapt_core.terminal.progress import current

Step = Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]
"""From a module and a batch to outputs, ``loss`` among them: the mean over what the batch holds."""

Items = Callable[[Mapping[str, Any]], int]
"""How many things the loss of a batch is a mean of: rows, or tokens."""


def rows_in(batch: Mapping[str, Any]) -> int:
    """The rows of a batch: the length of its first tensor or list."""
    return len(next(iter(batch.values())))


def measure(
    module: Any,
    batches: Iterable[Mapping[str, Any]],
    step: Step,
    items: Items,
    meter: Meter | None,
    world: World,
    batch_count: int | None = None,
) -> Evaluated:
    """The mean loss of a model, and what a task's meter finds.

    Args:
        module: in any mode, which is left as it was.
        batches: this process's, on the module's device.
        step: makes the outputs of a batch.
        items: what the loss is a mean of.
        meter: the task's, new; None for the loss alone.
        world: the processes.
        batch_count: how many batches there are, for whoever watches; None where nobody shall.

    Returns:
        ``loss``, the sum over all items of all processes divided by their number (left out where the step gives none),
        and the meter's metrics and outputs.
    """
    total, count = 0.0, 0
    training = module.training
    module.eval()
    try:
        with torch.no_grad(), _shown(batch_count) as done:
            for through, given in enumerate(batches, start=1):
                counted = NOT_COUNTED not in given
                batch = {name: value for name, value in given.items() if name != NOT_COUNTED}
                outputs = step(module, batch)
                if counted and (loss := outputs.get("loss")) is not None:
                    number = items(batch)
                    total, count = total + float(loss) * number, count + number
                if counted and meter is not None:
                    meter.update(batch, outputs)
                done(through)
    finally:
        module.train(training)
    found = meter.result(world) if meter is not None else Evaluated({}, None)
    sums = world.gather((total, count))
    items_of_all = sum(number for _, number in sums)
    if not items_of_all:
        return found
    return replace(found, metrics={"loss": sum(loss for loss, _ in sums) / items_of_all, **found.metrics})


def _shown(batches: int | None) -> AbstractContextManager[Callable[[int], None]]:
    """Shows how many batches are through, which the block tells."""
    return nullcontext(lambda _: None) if batches is None else current().counting("Batches evaluated", batches)
