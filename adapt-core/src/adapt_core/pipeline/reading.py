"""Reading a base model's weights once where several processes of a machine need them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from adapt_core.interfaces import World

SWITCHES = ("ACCELERATE_USE_FSDP", "FSDP_CPU_RAM_EFFICIENT_LOADING")
"""Environment variables by which transformers leaves a model's weights empty but in the first process of a machine."""


@contextmanager
def read_once(world: World) -> Iterator[None]:
    """Within it, transformers reads weights in one process of each machine, if the world's sharding asks for that.

    The others get memory that is reserved and never written. The engine deals them their shards of the main process's
    weights before the first step.
    """
    if world.size == 1 or world.sharding is None or not world.sharding["one_reads"]:
        yield
        return
    before = {name: os.environ.get(name) for name in SWITCHES}
    os.environ.update(dict.fromkeys(SWITCHES, "true"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def reserve_memory(module: nn.Module) -> None:
    """Gives what transformers has left without memory some that is never written: a fresh head, say; in place."""
    made: dict[int, nn.Parameter] = {}
    for layer in module.modules():
        for name, each in layer._parameters.items():
            if each is not None and each.is_meta:
                empty = torch.empty_like(each, device="cpu")
                layer._parameters[name] = made.setdefault(id(each), nn.Parameter(empty, each.requires_grad))
        for name, buffer in layer._buffers.items():
            if buffer is not None and buffer.is_meta:
                layer._buffers[name] = torch.zeros_like(buffer, device="cpu")
