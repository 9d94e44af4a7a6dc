"""LoftQ's start of LoRA (Li et al. 2023, arXiv 2310.08659), on a base that is quantized already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.files import read_json
from adapt_core.methods.lora.method import Lora

ADAPTER = "default"


class LoftQ(Lora):
    """LoRA whose update starts as the best low-rank approximation of what quantization took from the weights.

    One step of the paper's algorithm 1: quantize, then decompose the residual. The base stays as its quantizer makes
    it, so that the adapter fits on any copy of it; further steps would quantize other weights than the base's.
    """

    def start(self) -> dict[str, Any]:
        """PEFT adds an ordinary update, which :meth:`apply` fills."""
        return {"init_lora_weights": True}

    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        """Adds the adapter; see :meth:`PeftAdapter.apply`.

        Raises:
            AdaptError: no layer of the base is in 4 bits, or its weights from before cannot be found.
        """
        adapted = super().apply(module, hints)
        layers = {name: layer for name, layer in adapted.named_modules() if type(layer).__name__ == "Linear4bit"}
        layers = {name: layer for name, layer in layers.items() if hasattr(layer, "lora_A")}
        if not layers:
            raise AdaptError(
                "method.init_lora_weights: loftq makes up for what quantization takes from weights, and no layer that "
                f"gets an update in {type(module).__name__} is in 4 bits",
                "Quantize the base to 4 bits, or choose another start, such as pissa.",
            )
        weight = _original_weights(module)
        for name, layer in layers.items():
            _fill(layer, weight(name.removeprefix("base_model.model.")))
        return adapted


@torch.no_grad()
def _fill(layer: Any, original: Tensor) -> None:
    """``scaling * B A`` becomes the nearest matrix of its rank to the original less the quantized weight."""
    from bitsandbytes.functional import dequantize_4bit

    base = layer.get_base_layer()
    if issubclass(getattr(base, "source_cls", nn.Linear), Conv1D):  # transposed as it was quantized
        original = original.T
    held = base.weight
    quantized = dequantize_4bit(held.data, held.quant_state).float()
    residual = (original.to(quantized.device).float() - quantized) / layer.scaling[ADAPTER]
    left, singular, right = torch.linalg.svd(residual, full_matrices=False)
    down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
    root = singular[: layer.r[ADAPTER]].sqrt()
    down.zero_()  # a rank beyond the layer's own has nothing to hold
    up.zero_()
    down[: len(root)] = root[:, None] * right[: len(root)]
    up[:, : len(root)] = left[:, : len(root)] * root


def _original_weights(module: nn.Module) -> Callable[[str], Tensor]:
    """Looks up the weight of a layer in the checkpoint that a transformers model was loaded from.

    Raises:
        AdaptError: it has no safetensors file, or no such weight.
    """
    from transformers.utils.hub import cached_file

    model: Any = module
    source = str(getattr(getattr(model, "config", None), "_name_or_path", ""))

    def file(name: str) -> Path | None:
        found = cached_file(source, name, _raise_exceptions_for_missing_entries=False) if source else None
        return Path(found) if found else None

    index = file("model.safetensors.index.json")
    places: dict[str, str] = read_json(index)["weight_map"] if index else {}
    whole = None if index else file("model.safetensors")
    if not index and not whole:
        raise AdaptError(
            f"method.init_lora_weights: loftq reads the weights from before quantization out of "
            f"model.safetensors, which {source or type(module).__name__} does not have",
            "Save the base model as safetensors, or choose another start.",
        )
    if whole:
        with safe_open(whole, framework="pt") as content:
            places = dict.fromkeys(content.keys(), "model.safetensors")
    prefix = f"{getattr(model, 'base_model_prefix', '')}."

    def weight(name: str) -> Tensor:
        keys = [f"{name}.weight", f"{name}.weight".removeprefix(prefix)]
        key = next((key for key in keys if key in places), None)
        path = file(places[key]) if key else None
        if key is None or path is None:
            raise AdaptError(
                f"method.init_lora_weights: loftq finds no weight {keys[0]!r} in {source}", "Choose another start."
            )
        with safe_open(path, framework="pt") as content:
            tensor: Tensor = content.get_tensor(key)
        return tensor

    return weight
