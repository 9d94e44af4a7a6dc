"""Biases that merging has given to layers which had none in their architecture."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adapt_core.errors import AdaptError


def adopt_biases(module: Any, shapes: Mapping[str, Sequence[int]]) -> None:
    """Gives a model the parameters that merging has added to its layers, as zeros to be loaded into.

    These are biases, and the weight of a normalisation that had neither.

    Args:
        module: the model, a ``torch.nn.Module``.
        shapes: of the saved tensors, by name (``"layers.0.bias"``).
    """
    import torch
    from torch import nn

    own = dict(module.named_modules())
    beside = next(module.parameters())
    for name, shape in shapes.items():
        place, _, leaf = name.rpartition(".")
        layer: Any = own.get(place)
        if leaf in ("weight", "bias") and layer is not None and getattr(layer, leaf, layer) is None:
            like = layer.weight if layer.weight is not None else beside
            setattr(layer, leaf, nn.Parameter(torch.zeros(tuple(shape), dtype=like.dtype, device=like.device)))


def settle_biases(module: Any) -> None:
    """Has the configuration of a transformers model say which biases its layers have, so that it is built so again.

    Where merging has added biases, the switches that its class has for them (``attention_bias``) are turned on. Other
    layers that a switch gives a bias get one of zeros.

    Raises:
        AdaptError: its class has no switch for one of them: ``from_pretrained`` would leave it out, and the outputs
            would be others.
    """
    own = [name for name, _ in module.named_parameters()]
    switches, foreign = switches_for(module, own)
    if foreign:
        raise AdaptError(
            f"Merging gave {type(module).__name__} {len(foreign)} parameters that its architecture lacks, {foreign[0]} "
            "among them: from_pretrained would leave them out",
            "Export with save.name=state_dict or safetensors (SAVE_METHOD), or use the adapter beside its base.",
        )
    if switches:
        module.config = _turned(module.config, switches)
        shapes = _shapes(module, module.config)
        adopt_biases(module, {name: shape for name, shape in shapes.items() if name not in own})


def switches_for(module: Any, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The switches in a transformers model's configuration that give its class parameters of these names.

    Args:
        module: the model, whose configuration stays as it is.
        names: of parameters.

    Returns:
        The switches to be turned on, and the names that the class has with none of them.
    """
    has = _shapes(module, module.config)
    missing = [name for name in names if name not in has]
    switches: list[str] = []
    for switch in [name for name, value in vars(module.config).items() if "bias" in name and value is False]:
        if missing:
            has = _shapes(module, _turned(module.config, [*switches, switch]))
            left = [name for name in missing if name not in has]
            if len(left) < len(missing):
                switches, missing = [*switches, switch], left
    return switches, missing


def _turned(config: Any, switches: Iterable[str]) -> Any:
    """A copy of a configuration with switches turned on."""
    turned = copy.deepcopy(config)
    for switch in switches:
        setattr(turned, switch, True)
    return turned


def _shapes(module: Any, config: Any) -> dict[str, tuple[int, ...]]:
    """The parameters of a model's class with a configuration."""
    import torch

    with torch.device("meta"):
        built = type(module)(copy.deepcopy(config))
    return {name: tuple(each.shape) for name, each in built.named_parameters(remove_duplicate=False)}
