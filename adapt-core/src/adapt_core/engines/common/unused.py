"""Whether a step leaves parameters unused that are trained: several processes must know it before the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from adapt_core.engines.common.buffers import buffers_kept
from adapt_core.engines.common.randomness import randomness_kept
from adapt_core.interfaces import World


def leaves_unused(world: World, module: nn.Module, loss_of_first: Callable[[], torch.Tensor]) -> bool:
    """Whether the loss of a step does not depend on all that is trained, in any process.

    torch's ``DistributedDataParallel`` waits for the gradient of every parameter, unless it is told to look at each
    step for those that have none, which takes time. So the first batch is looked at once, without a backward pass.

    Args:
        world: the processes, all of which call this.
        module: the model, before it is wrapped; afterwards as it was, running statistics included.
        loss_of_first: the loss of this process's part of the first batch, computed anew.
    """
    if world.unused_parameters is not None:
        return world.unused_parameters
    with randomness_kept(), _in_training(module):
        used = _leaves(loss_of_first())
    return world.any(any(each.requires_grad and id(each) not in used for each in module.parameters()))


@contextmanager
def _in_training(module: nn.Module) -> Iterator[None]:
    """The training mode, for as long as the block lasts; what it changes in buffers is undone."""
    mode = module.training
    module.train()
    try:
        with buffers_kept(module):
            yield
    finally:
        module.train(mode)


def _leaves(loss: torch.Tensor) -> set[int]:
    """The ids of the tensors that a loss depends on and that get a gradient."""
    seen, found, waiting = set(), set(), [loss.grad_fn]
    while waiting:
        node: Any = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        waiting.extend(each for each, _ in node.next_functions)
    return found
