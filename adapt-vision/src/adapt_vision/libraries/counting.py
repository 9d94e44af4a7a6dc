"""What transformers' losses of boxes and masks are means of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

from torch import distributed

from adapt_core.utils.replacing import replaced

SUMMED = (
    "transformers.loss.loss_for_object_detection",
    "transformers.models.mask2former.modeling_mask2former",
    "transformers.models.maskformer.modeling_maskformer",
)
"""Modules that take accelerate's ``reduce``, which gives a mean, for a sum, and divide by the processes once more."""

SHARED = ("transformers.loss.loss_lw_detr", "transformers.loss.loss_rf_detr")
"""Modules that divide by the mean over all processes where there are several."""


@contextmanager
def counted_here() -> Iterator[None]:
    """Within it, losses are means over the objects of this process.

    The engine weighs every batch of every process by its own objects, so that a step's loss is the mean over all of
    them. What the losses do themselves where there are several processes must not come on top.
    """
    size = distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
    if size == 1:
        yield
        return

    def times_processes(count: Any, *_: Any, **__: Any) -> Any:
        return count * size  # by which the losses divide

    with ExitStack() as stack:
        for name in SUMMED:
            stack.enter_context(replaced(import_module(name), "reduce", times_processes))
        for name in SHARED:
            stack.enter_context(replaced(import_module(name), "_is_torch_distributed_initialized", lambda: False))
        yield
