"""Biases that merging has given to layers which had none in their architecture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adapt_core.errors import AdaptError


def adopt_biases(module: Any, names: Iterable[str]) -> None:
    """Gives a model the biases among saved names that its architecture lacks, as zeros to be loaded into.

    Args:
        module: the model, a ``torch.nn.Module``.
        names: of saved tensors (``"layers.0.bias"``).
    """
    import torch
    from torch import nn

    own = dict(module.named_modules())
    for name in names:
        place, _, leaf = name.rpartition(".")
        layer: Any = own.get(place)
        if leaf == "bias" and layer is not None and getattr(layer, "bias", 0) is None and layer.weight is not None:
            count = next((getattr(layer, each) for each in WIDTHS if hasattr(layer, each)), None)
            if count is not None:
                layer.bias = nn.Parameter(torch.zeros(count, dtype=layer.weight.dtype, device=layer.weight.device))


def require_own_biases(module: Any) -> None:
    """Raises AdaptError if a transformers model has biases with which its class would not be built again.

    ``from_pretrained`` leaves out what the class does not have, so that the outputs would be others.
    """
    import torch

    with torch.device("meta"):
        expected = {name for name, _ in type(module)(module.config).named_parameters()}
    foreign = [name for name, _ in module.named_parameters() if name.endswith(".bias") and name not in expected]
    if foreign:
        raise AdaptError(
            f"Merging gave {len(foreign)} layers of {type(module).__name__} a bias that its architecture lacks, "
            f"{foreign[0]} among them: from_pretrained would leave it out",
            "Export with save.name=state_dict or safetensors (SAVE_METHOD), or use the adapter beside its base.",
        )


WIDTHS = ("out_features", "out_channels", "nf", "num_features")
"""Attributes of layers that count their outputs."""
