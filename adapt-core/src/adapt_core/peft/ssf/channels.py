"""Where the output channels of a layer are: in what it computes, and in its weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from adapt_core.models.layers import TRANSPOSED_CONVOLUTIONS, channels_first

OPERATIONS: dict[str, tuple[type[nn.Module], ...]] = {
    "linear": (nn.Linear, Conv1D),
    "conv": (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d),
    "layer_norm": (nn.LayerNorm,),
    "batch_norm": (nn.BatchNorm1d, nn.BatchNorm2d),
    "embedding": (nn.Embedding,),
}
"""The layers that can be scaled and shifted, by the name of their operation."""


@dataclass(frozen=True)
class Channels:
    """The output channels of a layer.

    Attributes:
        count: how many there are.
        axis: theirs in the output, counted from the end.
    """

    count: int
    axis: int


def channels_of(layer: nn.Module, output: Tensor | None = None) -> Channels:
    """The output channels of a layer.

    Args:
        layer: one of :data:`OPERATIONS`.
        output: what it computed; only batch normalisation of one dimension needs it, to tell (N, C) from (N, C, L).

    Raises:
        TypeError: the layer is none of these.
    """
    if isinstance(layer, nn.Linear):
        return Channels(layer.out_features, -1)
    if isinstance(layer, Conv1D):
        return Channels(layer.nf, -1)
    if isinstance(layer, nn.Embedding):
        return Channels(layer.embedding_dim, -1)
    if isinstance(layer, nn.LayerNorm):
        return Channels(layer.normalized_shape[-1], -3 if channels_first(layer) else -1)
    if isinstance(layer, OPERATIONS["conv"]):
        convolution: Any = layer
        return Channels(int(convolution.out_channels), -len(convolution.kernel_size) - 1)
    if isinstance(layer, nn.BatchNorm1d):
        return Channels(layer.num_features, 1 - output.dim() if output is not None else -1)
    if isinstance(layer, nn.BatchNorm2d):
        return Channels(layer.num_features, -3)
    raise TypeError(f"SSF cannot scale and shift a {type(layer).__name__}; it can {', '.join(OPERATIONS)} layers")


@torch.no_grad()
def fold(layer: nn.Module, scale: Tensor | None, shift: Tensor) -> None:
    """Multiplies and shifts a layer's output for good: scale into its weight, both into its bias.

    A bias is made where there is none. Weights that another layer shares are its own afterwards.

    Args:
        layer: one of :data:`OPERATIONS`, not quantized.
        scale, shift: of shape (channels,); without a scale the weight stays as it is, but for an embedding's.

    Raises:
        TypeError: the layer's weights are quantized.
    """
    held: Any = layer
    if held.weight is not None and not held.weight.is_floating_point():
        raise TypeError(f"the weights of {type(layer).__name__} are quantized: dequantize the model before merging")
    shape = held.normalized_shape if isinstance(layer, nn.LayerNorm) else (channels_of(layer).count,)
    dtype = held.weight.dtype if held.weight is not None else shift.dtype
    if scale is not None:
        weight = held.weight if held.weight is not None else torch.ones(shape, dtype=dtype, device=scale.device)
        scaled = (weight.to(scale.dtype) * _beside(layer, weight, scale)).to(dtype)
        held.weight = nn.Parameter(scaled, requires_grad=False)
    if isinstance(layer, nn.Embedding):
        held.weight = nn.Parameter(held.weight + shift.to(dtype), requires_grad=False)
        return
    bias = held.bias if held.bias is not None else torch.zeros(shape, dtype=dtype, device=shift.device)
    scaled = bias.to(shift.dtype) if scale is None else bias.to(shift.dtype) * scale
    held.bias = nn.Parameter((scaled + shift).to(dtype), requires_grad=False)


def _beside(layer: nn.Module, weight: Tensor, scale: Tensor) -> Tensor:
    """The scale in a shape that multiplies the output channels of a weight."""
    if isinstance(layer, TRANSPOSED_CONVOLUTIONS):
        # (in, out / groups, ...): the inputs of a group meet that group's outputs.
        groups = layer.groups
        inputs = weight.shape[0] // groups
        each = scale.view(groups, 1, -1).expand(groups, inputs, -1).reshape(weight.shape[0], -1)
        return each.view(*each.shape, *(1,) * (weight.dim() - 2))
    if isinstance(layer, (nn.Linear, *OPERATIONS["conv"])):
        return scale.view(-1, *(1,) * (weight.dim() - 1))
    return scale
