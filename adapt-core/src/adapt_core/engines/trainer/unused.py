"""Whether a step leaves parameters unused that are trained: several processes must know it before the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from adapt_core.engines.common.randomness import randomness_kept

if TYPE_CHECKING:
    from adapt_core.engines.trainer.trainer import AdaptTrainer


def leaves_unused(trainer: AdaptTrainer) -> bool:
    """Whether the loss of a step does not depend on all that is trained, in any process.

    torch's ``DistributedDataParallel`` waits for the gradient of every parameter, unless it is told to look at each
    step for those that have none, which takes time. So the first batch is looked at once, without a backward pass.

    Args:
        trainer: before its model is wrapped.
    """
    world = trainer.training.world
    if world.unused_parameters is not None:
        return world.unused_parameters
    with randomness_kept():
        return world.any(_unused(trainer))


def _unused(trainer: AdaptTrainer) -> bool:
    module: Any = trainer.model
    before = module.training
    module.train()
    try:
        with trainer.accelerator.autocast():
            loss = trainer.compute_loss(module, dict(trainer.first_batch()))
    finally:
        module.train(before)
    used = _leaves(loss)
    return any(each.requires_grad and id(each) not in used for each in module.parameters())


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
