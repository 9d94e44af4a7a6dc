"""Quantized layers, told by what they hold, whoever quantized them: a plugin, or a user with transformers alone.

So no quantizer's library is named here, and none need be installed to look at a model.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

NUMBERS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
"""The dtypes of weights that are what they say. Those of other dtypes are codes, which stand for numbers."""

MARKS = {"is_loaded_in_4bit": 4, "is_loaded_in_8bit": 8}
"""What transformers sets on a model that it has quantized, with the width in bits."""


def width_of(layer: nn.Module) -> int | None:
    """The bits that a linear layer keeps of each of its weights; None where these are ordinary numbers."""
    if not isinstance(layer, nn.Linear) or not stands_for_plain(layer):
        return None
    bits = 8 * layer.weight.nbytes // (layer.in_features * layer.out_features)
    return bits if bits < 16 else None


def quantized_widths(module: nn.Module) -> list[int]:
    """The widths in bits of a model's quantized layers, each once.

    By their size, and by transformers' marks: a layer in 8 bits may keep numbers and quantize them for each product.
    """
    widths = {width_of(layer) for layer in module.modules()}
    widths |= {bits for mark, bits in MARKS.items() for each in module.modules() if getattr(each, mark, False)}
    return sorted(bits for bits in widths if bits is not None)


def is_quantized(module: nn.Module) -> bool:
    """Whether a module holds weights that are codes and no numbers."""
    codes = any(each.dtype not in NUMBERS for each in module.parameters())
    return codes or any(width_of(layer) is not None for layer in module.modules())


def stands_for_plain(layer: nn.Module) -> bool:
    """Whether a layer's weight is a quantized one: the layer computes what the plain one does that it stands for.

    Such a weight holds codes, or it is a parameter of a class of its own, which quantizes its numbers when it is moved
    to a device or multiplied.
    """
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor):
        return False
    return weight.dtype not in NUMBERS or (isinstance(weight, nn.Parameter) and type(weight) is not nn.Parameter)


def original_class(layer: nn.Module) -> type[nn.Module]:
    """The class of a layer; of a quantized one, that of the layer which transformers put it in the place of."""
    found: type[nn.Module] = getattr(layer, "source_cls", type(layer))
    return found


def parameters_counted(module: nn.Module) -> Iterator[tuple[nn.Parameter, int]]:
    """Every parameter with how many numbers it stands for: a byte may hold two of them."""
    packed = {
        id(layer.weight): layer.in_features * layer.out_features
        for layer in module.modules()
        if isinstance(layer, nn.Linear) and width_of(layer) is not None
    }
    for each in module.parameters():
        yield each, packed.get(id(each), each.numel())
