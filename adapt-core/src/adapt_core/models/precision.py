"""What is trained is float32: in 16 bits, small updates round away, and float16 ends in NaN."""

from __future__ import annotations

import torch
from torch import nn

from adapt_core.models.quantized import stands_for_plain

HALF = (torch.float16, torch.bfloat16)
"""The precisions of 16 bits that checkpoints are stored in."""


def trained_in_half(module: nn.Module) -> dict[str, str]:
    """The parameters of a model that would be trained in 16 bits, by name, each with its precision."""
    return {
        name: dtype_name(each.dtype)
        for name, each in module.named_parameters()
        if each.requires_grad and each.dtype in HALF
    }


def settle_precision(module: nn.Module) -> None:
    """Makes an adapted model float32 as a whole, in place, where it could not be trained as it is.

    That is where something in 16 bits would be trained, and where anything is float16, whose range gradients leave. A
    frozen base in bfloat16 under adapters in float32 stays: PEFT's layers compute each in its own precision.
    """
    if trained_in_half(module) or any(each.dtype == torch.float16 for each in _plain_tensors(module)):
        for each in _plain_tensors(module):
            if each.dtype in HALF:
                each.data = each.data.float()


def dtype_name(dtype: torch.dtype) -> str:
    """What a person calls a type of numbers: ``"bfloat16"``."""
    return str(dtype).removeprefix("torch.")


def _plain_tensors(module: nn.Module) -> list[torch.Tensor]:
    """All parameters and buffers but those of quantized layers, whose 16 bits may be what they compute in."""
    found: dict[int, torch.Tensor] = {}
    for layer in module.modules():
        if not stands_for_plain(layer):
            own = (*layer._parameters.values(), *layer._buffers.values())
            found |= {id(each): each for each in own if each is not None}
    return list(found.values())
