"""What the losses of MMDet and MMPose divide by where there are several processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, distributed

from adapt_core.utils.replacing import replaced

MODULES = ("mmdet.utils.dist_utils", "mmpose.utils.dist_utils")
"""Where the libraries have ``reduce_mean``."""


def is_sum(settings: Mapping[str, Any]) -> bool:
    """Whether what a part of a configuration makes has a loss that is a sum over the images of a batch, and no mean."""
    kind = str(settings.get("type", "")).rpartition(".")[2]
    if kind == "YOLOV3Head":
        return bool((settings.get("loss_cls") or {}).get("reduction") == "sum")
    return kind == "KLDiscretLoss"


@contextmanager
def shared_counts(share: float) -> Iterator[None]:
    """Within it, ``reduce_mean`` gives the sum over all processes, times the share that this one has of the batch.

    Many losses divide by the number of positives, of which the libraries take the mean over all processes. That is
    right where each has as many images: the mean of such losses over the processes is the loss of one process with all
    the images. Elsewhere, each process's loss is weighed by its images, and its part of the positives must be that of
    its images.

    Args:
        share: how much of the images of all processes are this one's, 0 to 1; at 0 its positives do not count.
    """
    with ExitStack() as stack:
        for name in MODULES:
            if name in sys.modules:
                stack.enter_context(replaced(sys.modules[name], "dist", _Shared(share)))
        yield


class _Shared:
    """``torch.distributed`` as ``reduce_mean`` uses it."""

    ReduceOp = distributed.ReduceOp

    def __init__(self, share: float) -> None:
        self.share = share

    def __getattr__(self, name: str) -> Any:
        return getattr(distributed, name)

    def get_world_size(self) -> int:
        """1: what ``reduce_mean`` divides by."""
        return 1

    def all_reduce(self, tensor: Tensor, op: Any = distributed.ReduceOp.SUM) -> None:
        """Makes a :class:`_Count` of what ``reduce_mean`` is about to return."""
        if not self.share:
            tensor.zero_()
        distributed.all_reduce(tensor, op=op)
        tensor.mul_(self.share or 1.0)
        count: Any = tensor
        count.__class__, count.share = _Count, self.share or 1.0


class _Count(Tensor):
    """A share of a count of all processes. What bounds it from below is meant for the whole count.

    Losses take one positive at least, by ``clamp`` or by Python's ``max``: of all the images, as one process does.
    """

    share: float

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.clamp:
            return args[0].clamp_(*args[1:], **(kwargs or {}))
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    def clamp_(self, min: float) -> _Count:  # type: ignore[override]
        """Bounds the whole count; in place."""
        super().clamp_(min=min * self.share)
        return self

    def __lt__(self, bound: float) -> bool:  # type: ignore[override]
        """What ``max(count, bound)`` asks: no, since it is bounded from here on."""
        self.clamp_(bound)
        return False
