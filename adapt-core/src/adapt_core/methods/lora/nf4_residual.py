"""What quantization to NF4 takes from a weight, and the update that makes up for most of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from adapt_core.errors import AdaptError
from adapt_core.methods.shared.peft_adapter import FIRST
from adapt_core.models.quantized import original_class
from adapt_core.utils.files import read_json


def is_transposed(layer: Any) -> bool:
    """Whether a layer's weight is stored as (in, out), or was before it was quantized."""
    return issubclass(original_class(layer), Conv1D)


def dequantized(weight: Any) -> Tensor:
    """The values that a 4-bit weight of bitsandbytes stands for, float32, of shape (out, in)."""
    from bitsandbytes.functional import dequantize_4bit

    values: Tensor = dequantize_4bit(weight.data, weight.quant_state)
    return values.float()


def fill(layer: Any, residual: Tensor) -> None:
    """``scaling * B A`` of a LoRA layer becomes the nearest matrix of its rank to a residual of shape (out, in)."""
    left, singular, right = torch.linalg.svd(residual / layer.scaling[FIRST], full_matrices=False)
    down, up = layer.lora_A[FIRST].weight, layer.lora_B[FIRST].weight
    root = singular[: layer.r[FIRST]].sqrt()
    down.zero_()  # a rank beyond the layer's own has nothing to hold
    up.zero_()
    down[: len(root)] = root[:, None] * right[: len(root)]
    up[:, : len(root)] = left[:, : len(root)] * root


def alternate(layer: Any, steps: int) -> None:
    """Algorithm 1 of the paper: the base weight of a LoRA layer becomes a quantized one's values, the update the rest.

    Every step quantizes what the update leaves of the weight to NF4, in blocks of 64, and has the update approximate
    what the quantized weight leaves. Computed where an accelerator is, in float32.

    Args:
        layer: PEFT's, over a ``Linear`` or a ``Conv1D``, not quantized.
        steps: how many.
    """
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    base = layer.get_base_layer()
    place = torch.accelerator.current_accelerator(check_available=True) or base.weight.device
    weight = base.weight.T if is_transposed(base) else base.weight  # the blocks run along a row of (out, in)
    weight = weight.to(place, torch.float32)
    update = torch.zeros_like(weight)
    for _ in range(steps):
        # As one row: on a CPU bitsandbytes 0.50 dequantizes a matrix right only if its rows are whole blocks.
        codes, state = quantize_4bit((weight - update).reshape(1, -1), blocksize=64, quant_type="nf4")
        values = dequantize_4bit(codes, state).reshape(weight.shape).to(base.weight.dtype)
        fill(layer, weight - values.float())
        up, down = layer.lora_B[FIRST].weight.to(weight), layer.lora_A[FIRST].weight.to(weight)
        update = layer.scaling[FIRST] * up @ down
    base.weight.copy_(values.T if is_transposed(base) else values)


def original_weights(module: nn.Module) -> Callable[[str], Tensor]:
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
