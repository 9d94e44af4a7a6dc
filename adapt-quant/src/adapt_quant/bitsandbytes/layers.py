"""The layers of bitsandbytes: back to ordinary ones, and what they take."""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit, int8_vectorwise_dequant
from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt, fix_4bit_weight_quant_state_from_module
from torch import Tensor, nn

from adapt_core.bundles import Memory
from adapt_core.models.module_source import weights_read


def dequantized(layer: nn.Module) -> nn.Module | None:
    """An ordinary layer in float32 on the CPU with the weights that a quantized one stands for; None for any other.

    It is of the kind that transformers quantized: linear, or ``Conv1D`` with its weight of shape (in, out).
    """
    from transformers.pytorch_utils import Conv1D

    if not isinstance(layer, Linear4bit | Linear8bitLt):
        return None
    weight = _weight(layer).cpu().float()
    out_features, in_features = weight.shape
    plain: nn.Module
    if issubclass(getattr(layer, "source_cls", nn.Linear), Conv1D):
        plain = Conv1D(out_features, in_features)
        weight = weight.T.contiguous()
    else:
        plain = nn.Linear(in_features, out_features, bias=layer.bias is not None, device="meta")
    plain.weight = nn.Parameter(weight, requires_grad=False)
    if layer.bias is not None:
        plain.bias = nn.Parameter(layer.bias.detach().cpu().float(), requires_grad=False)
    return plain.train(layer.training)


def ready(module: nn.Module) -> None:
    """Mends a loaded model's layers, in place.

    In 8 bits, weights that are quantized only for a product (``llm_int8_has_fp16_weight``) become float16, as they are
    to be. In 4 bits on a CPU that multiplies bfloat16 (AVX512-BF16), a layer would bring its weights into another order
    in the first evaluation, its scales rounded (bitsandbytes 0.50), and compute with these from then on: without
    gradients for what is before it, and as no one reads it who dequantizes it. It keeps the order that it has.
    """
    for layer in module.modules():
        if isinstance(layer, Linear4bit):
            layer.support_avx512bf16_for_cpu = False
        if isinstance(layer, Linear8bitLt):
            if layer.weight.dtype == torch.float32:
                layer.weight.data = layer.weight.data.half()
            layer.register_forward_pre_hook(_keep_scales)


def biases_trained(module: nn.Module) -> list[str]:
    """The names of 4-bit layers whose bias is trained."""
    return [
        name
        for name, layer in module.named_modules()
        if isinstance(layer, Linear4bit) and layer.bias is not None and layer.bias.requires_grad
    ]


def with_plain_weights(module: nn.Module) -> None:
    """Has 4-bit layers keep what decodes their weights, and these be plain parameters of bytes, in place.

    So FSDP2 shards them: it gathers bytes as they are, whatever precision is trained in. A layer takes what it has kept
    in each call (bitsandbytes' ``fix_4bit_weight_quant_state_from_module``). accelerate 1.15 would leave out parameters
    of bitsandbytes' class.
    """
    for layer in module.modules():
        if isinstance(layer, Linear4bit):
            weight: Any = layer.weight
            layer.quant_state = weight.quant_state
            layer.weight = nn.Parameter(weight.data, requires_grad=False)


def with_own_weights(module: nn.Module) -> None:
    """Undoes :func:`with_plain_weights`, where the weights may be on another device now."""
    for layer in module.modules():
        if isinstance(layer, Linear4bit):
            state: Any = layer.quant_state
            state.to(layer.weight.device)
            fix_4bit_weight_quant_state_from_module(layer)


def _keep_scales(layer: nn.Module, _: Any) -> None:
    """Keeps a layer from forgetting its scales.

    PEFT's DoRA moves a weight on the CPU to where it is, which makes a new one that has codes and no scales; the layer
    (bitsandbytes 0.50) would take both from it in place of its own.
    """
    weight: Any = layer.weight
    if weight.CB is not None and weight.SCB is None:
        weight.CB = None


def unquantized(module: nn.Module) -> list[str]:
    """The names of layers that were to be quantized and for which there were no weights."""
    return [name for name, layer in module.named_modules() if _is_empty(layer)]


def misread(module: nn.Module) -> list[str]:
    """The names of layers whose 4-bit weights the library computes with otherwise than they were quantized.

    On a CPU (bitsandbytes 0.50), where a row is no whole number of blocks: it takes the scales of other blocks.
    """
    found = []
    for name, layer in module.named_modules():
        weight: Any = layer.weight if isinstance(layer, Linear4bit) else None
        state = getattr(weight, "quant_state", None)
        if state is not None and state.shape[-1] % state.blocksize:
            as_one_row = copy(state)
            as_one_row.shape = torch.Size((1, state.shape.numel()))
            right = dequantize_4bit(weight.data, as_one_row).reshape(state.shape)
            if not torch.equal(dequantize_4bit(weight.data, state), right):
                found.append(name)
    return found


def read_past(module: nn.Module) -> dict[str, str]:
    """The names of quantized layers of which the module around them takes the weight itself, and that module's class.

    What it would compute with are codes.
    """
    return {
        f"{place}.{name}" if place else name: type(parent).__name__
        for place, parent in module.named_modules()
        for name, layer in parent.named_children()
        if isinstance(layer, Linear4bit | Linear8bitLt) and name in weights_read(parent)
    }


def _is_empty(layer: nn.Module) -> bool:
    weight: Any = getattr(layer, "weight", None)
    if isinstance(layer, Linear8bitLt):
        return bool(weight.dtype != torch.int8 and not layer.state.has_fp16_weights)
    return isinstance(layer, Linear4bit) and getattr(weight, "quant_state", None) is None


def measure(module: nn.Module) -> Memory:
    """Bytes of a model's tensors; what two modules share counts once."""
    parameters = weights = constants = 0
    quantized: set[int] = set()
    for layer in module.modules():
        if not isinstance(layer, Linear4bit | Linear8bitLt) or id(layer.weight) in quantized:
            continue
        weight: Any = layer.weight
        quantized.add(id(weight))
        parameters += layer.in_features * layer.out_features
        weights += weight.nbytes
        constants += sum(each.nbytes for each in _constants(layer))
    everything = {id(each): each for each in (*module.parameters(), *module.buffers())}
    rest = sum(each.nbytes for key, each in everything.items() if key not in quantized)
    return Memory(parameters, weights, constants, rest)


def _weight(layer: Linear4bit | Linear8bitLt) -> Tensor:
    """The weights, of shape (out, in)."""
    weight: Any = layer.weight
    plain: Tensor = weight.detach()  # llm_int8_has_fp16_weight: nothing is quantized until a product is made
    if isinstance(layer, Linear4bit):
        plain = dequantize_4bit(weight.data, weight.quant_state)
    elif weight.dtype == torch.int8:
        plain = int8_vectorwise_dequant(weight.data, _scales(layer))
    return plain


def _scales(layer: Linear8bitLt) -> Tensor:
    """One a row. The first call of a layer moves them from its weight to its state."""
    weight: Any = layer.weight
    scales: Tensor = layer.state.SCB if layer.state.SCB is not None else weight.SCB
    return scales


def _constants(layer: Linear4bit | Linear8bitLt) -> list[Tensor]:
    """What is kept beside the codes: scales, their own scales and offset, tables of codes."""
    weight: Any = layer.weight
    if isinstance(layer, Linear8bitLt):
        return [_scales(layer)] if weight.dtype == torch.int8 else []
    state = weight.quant_state
    kept = [state.absmax, state.code]
    if state.nested:
        kept += [state.offset, state.state2.absmax, state.state2.code]
    return kept
