"""Looks, once, at whether what is trained beside the head gets a gradient: what the model never calls gets none."""

from __future__ import annotations

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.engines.common.failures import nothing_used
from adapt_core.models.architecture import name_in_model


def idle_notice(module: nn.Module, hints: Hints, method: str) -> str | None:
    """What to say after the first backward pass of what it has not reached; None where it has reached everything.

    Args:
        module: with the gradients of a step.
        hints: of the model: its head and fresh modules are left out.
        method: its name in the configuration.

    Raises:
        AdaptError: nothing but the head has a gradient.
    """
    head = tuple(f".{name}." for name in (*hints.head, *hints.fresh))
    own = {name: each for name, each in module.named_parameters() if each.requires_grad}
    beside = [name for name in own if not any(part in f".{name}" for part in head)]
    # By layer: a penalty may give a part of an update a gradient though the layer is never called.
    unused = {name.partition(".lora_")[0] for name in beside if own[name].grad is None}
    idle = [name for name in beside if name.partition(".lora_")[0] in unused]
    if not idle:
        return None
    first = name_in_model(idle[0])
    if len(idle) == len(beside):
        raise nothing_used(method, f"beside the head has a gradient, {first} among it")
    return (
        f"{len(idle)} of {len(beside)} parameters that {method} trains had no gradient in the first step, {first} "
        "among them: the model did not use them."
    )
