"""Batch normalisation whose running statistics stay where they are."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from adapt_core.models.architecture import WHOLE


def stay_in_evaluation(layer: nn.Module, _: Any) -> None:
    """A forward pre-hook that keeps running statistics where they are, whatever the model's mode."""
    layer.training = False


def hold_statistics(module: nn.Module, *, trained: bool = False) -> None:
    """Keeps frozen batch normalisation in evaluation mode, whatever the model's mode.

    An adapter file does not hold running statistics: were they to move in training, the adapter would reload wrong.

    Args:
        module: the model, with its trainable parameters chosen.
        trained: hold them also where scale or shift is trained, except in layers that PEFT trains and saves whole.
    """
    for name, layer in module.named_modules():
        whole = WHOLE in name
        frozen = not any(each.requires_grad for each in layer.parameters())
        if isinstance(layer, _BatchNorm) and (frozen or (trained and not whole)):
            layer.register_forward_pre_hook(stay_in_evaluation)


def release_statistics(module: nn.Module) -> None:
    """Undoes :func:`hold_statistics`."""
    for layer in module.modules():
        for key, hook in list(layer._forward_pre_hooks.items()):
            if hook is stay_in_evaluation:
                del layer._forward_pre_hooks[key]
