"""Biases that merging has given to layers which had none in their architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapt_core.errors import AdaptError


def adopt_biases(module: Any, shapes: Mapping[str, Sequence[int]]) -> None:
    """Gives a model what merging has added to its layers, as zeros to be loaded into.

    Biases above all; a normalisation that had neither is also given a weight.

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


def require_own_biases(module: Any) -> None:
    """Raises AdaptError if a transformers model has biases, or others, with which its class would not be built again.

    ``from_pretrained`` leaves out what the class does not have, so that the outputs would be others.
    """
    import torch

    with torch.device("meta"):
        expected = {name for name, _ in type(module)(module.config).named_parameters()}
    foreign = [name for name, _ in module.named_parameters() if name not in expected]
    if foreign:
        raise AdaptError(
            f"Merging gave {type(module).__name__} {len(foreign)} parameters that its architecture lacks, {foreign[0]} "
            "among them: from_pretrained would leave them out",
            "Export with save.name=state_dict or safetensors (SAVE_METHOD), or use the adapter beside its base.",
        )
