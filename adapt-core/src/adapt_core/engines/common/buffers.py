"""Buffers of a module, such as running statistics, which a forward pass in training moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def buffers_kept(module: nn.Module) -> Iterator[None]:
    """Undoes what the block changes in the buffers of a module."""
    before = [(each, each.clone()) for each in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                if not torch.equal(buffer, value):  # those that share memory with themselves cannot be copied into
                    buffer.copy_(value)
