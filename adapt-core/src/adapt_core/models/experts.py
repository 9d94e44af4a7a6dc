"""Weights that no linear layer holds: the experts of a mixture, which transformers 5 keeps as one tensor a block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrize import ParametrizationList

from adapt_core.utils.units import bytes_text

ADAPTED = "base_layer"
"""PEFT's name of a layer within what it has wrapped it in."""

LINEAR_PRESETS = {"all-linear", "mlp", "all"}
"""Presets of target modules that are thought to hold the experts."""


def notices_of_experts(module: nn.Module, options: Any, *, quantized: bool) -> tuple[str, ...]:
    """What a person should know of a mixture's experts: that they are not quantized, and get no update.

    Args:
        module: the adapted model.
        options: of the method.
        quantized: whether a quantizer was to quantize its layers.
    """
    stacked = _stacked(module)
    if not stacked:
        return ()
    names = list(dict.fromkeys(re.sub(r"^.*\.\d+\.", "", name) for name in stacked))
    what = f"The weights of {', '.join(names)} are in tensors of three dimensions, as the experts of a mixture are"
    found = []
    if quantized:
        size = sum(each.nbytes for each in stacked.values())
        found.append(f"{what}: they are not quantized and take {bytes_text(size)}.")
    left = {name: each for name, each in stacked.items() if not each.requires_grad and f".{ADAPTED}." not in name}
    if left and _asks_for_linear_layers(options):
        total = sum(each.numel() for each in left.values())
        own = "" if hasattr(options, "target_parameters") else "lora with "
        found.append(
            f"{what}: target_modules do not reach them, and {total:,} weights get no update. To adapt them too: "
            f"{own}method.target_parameters: [{', '.join(names)}] beside target_modules: all-linear, with dropout: 0."
        )
    return tuple(found)


def _stacked(module: nn.Module) -> dict[str, nn.Parameter]:
    """The base's parameters of three dimensions, but for those of convolutions and those that weights are made of."""
    return {
        f"{place}.{name}" if place else name: each
        for place, layer in _base_layers(module, "")
        if not isinstance(layer, _ConvNd | ParametrizationList)
        for name, each in layer._parameters.items()
        if each is not None and each.is_floating_point() and each.dim() == 3 and min(each.shape) > 1
    }


def _base_layers(layer: nn.Module, place: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers that are the base's own, ``base_layer`` in the names of adapted ones; none that is trained whole."""
    # Here, since PEFT's first import says things that are kept from a user only while a run goes on.
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    if isinstance(layer, AuxiliaryTrainingWrapper):
        return
    if isinstance(layer, BaseTunerLayer):
        layer, place = layer.get_base_layer(), f"{place}.{ADAPTED}"
    yield place, layer
    for name, child in layer.named_children():
        yield from _base_layers(child, f"{place}.{name}" if place else name)


def _asks_for_linear_layers(options: Any) -> bool:
    """Whether a method was told to adapt all linear layers, or left to do it, and no parameters beside them."""
    if not hasattr(options, "target_modules") or getattr(options, "target_parameters", None):
        return False
    asked = options.target_modules
    return asked is None or bool(LINEAR_PRESETS & {asked} if isinstance(asked, str) else LINEAR_PRESETS & set(asked))
