"""Reading a base model's weights once where several processes shard them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from adapt_core.interfaces import Method, Quantizer, World
from adapt_core.utils.replacing import replaced

READS = "_materialize_copy"
"""The function of transformers that reads a tensor of a file; it has no public switch."""


@contextmanager
def read_once(world: World, method: Method, quantizer: Quantizer | None = None) -> Iterator[None]:
    """Within it, transformers reads weights in the main process alone, if the world's sharding asks for that.

    The others get zeros in memory that is never written, and so takes no room: the engine deals them their shards of
    the main process's weights before the first step. transformers 5.23 itself reads in all of them.

    Args:
        world: the processes.
        method: which may need the weights in every process.
        quantizer: of the base; what decodes the weights is made where they are read.
    """
    sharding = world.sharding
    all_read = method.reads_base or quantizer is not None
    if world.is_main or sharding is None or not sharding["one_reads"] or all_read:
        yield
        return
    from transformers import core_model_loading

    known = hasattr(core_model_loading, READS)  # not in every version: all read there
    with replaced(core_model_loading, READS, _not_read) if known else nullcontext():
        yield


def _not_read(tensor: Any, device: Any = None, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Zeros in the place of a tensor in a file, of which transformers has a slice, or a tensor that is mapped."""
    shape = tuple(tensor.get_shape() if hasattr(tensor, "get_shape") else tensor.shape)
    return zeros(shape, dtype or (tensor[:0] if shape else tensor[...]).dtype).to(device)


def zeros(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Zeros in pages that the system makes when they are written; torch would write its own.

    Zeros, and not what memory happens to hold, since a method may decompose weights before the true ones come.
    """
    count = torch.Size(shape).numel() * dtype.itemsize
    if not count:
        return torch.empty(shape, dtype=dtype)
    return torch.from_numpy(np.zeros(count, dtype=np.uint8)).view(dtype).reshape(shape)
