"""Finds layers that an adapter has no effect on, or cannot be merged into, by how they are built and what they compute.

What a layer computes is tried with random weights: the result depends neither on where its own are nor on their values.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from transformers.pytorch_utils import Conv1D

from adapt_core.models.module_source import weights_read
from adapt_core.models.quantized import stands_for_plain
from adapt_core.models.tolerance import TOLERANCE

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED_CONVOLUTIONS = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
ANY_CONVOLUTION = (*CONVOLUTIONS, *TRANSPOSED_CONVOLUTIONS)
NORMS = (nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d)
PLAIN: tuple[type[nn.Module], ...] = (nn.Linear, Conv1D, *ANY_CONVOLUTION, *NORMS, nn.Embedding)
"""The classes whose function is known."""

REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a class's own ``forward`` may raise for an input that it does not take."""

ROWS = 4
"""How many rows of an embedding are looked up to compare it."""

SHORTENED = "it shortens its vectors to a length of max_norm, after what merging adds to them too"
"""The reason against an embedding with a ``max_norm``."""


def why_not_called(layer: nn.Module, parent: nn.Module) -> str | None:
    """Why the module around a layer does not call it, so that an adapter would do nothing; None where it does."""
    around = type(parent).__name__
    if isinstance(parent, nn.MultiheadAttention):
        return f"torch's {around} reads its weights itself, so that an adapter there would do nothing"
    if isinstance(parent, nn.TransformerEncoderLayer) and parent.self_attn.batch_first and list(layer.parameters()):
        return f"torch's {around} reads its weights itself in evaluation, so that an adapter there would do nothing"
    name = next((name for name, each in parent.named_children() if each is layer), None)
    if name in weights_read(parent):
        return f"{around} computes with its weight past it, so that an adapter there could do nothing"
    return None


def why_not_stored(layer: nn.Module, *names: str) -> str | None:
    """Why nothing can be added to parameters of a layer: they are computed from others. None where they are stored.

    ``torch.nn.utils.parametrize`` does that, as do ``weight_norm`` and ``spectral_norm`` of old, and pruning.

    Args:
        layer: any.
        names: of the parameters, such as ``"weight"``.
    """
    for name in names:
        own = name in layer._parameters or name in layer._buffers
        if not own and isinstance(getattr(layer, name, None), Tensor):
            return f"its {name} is computed from other parameters at every call (as weight_norm does)"
    return None


def why_not_plain(layer: nn.Module) -> str | None:
    """Why an update of a layer's weight cannot be computed beside the layer; None for a plain layer, where it can.

    A plain layer is linear in its weight: an update adds to the output what a plain layer with the update as its weight
    would give. A class with a ``forward`` of its own may still be plain; its outputs are compared with those of the
    plain class. An embedding that multiplies by its ``embed_scale`` counts as plain, since PEFT multiplies too.
    """
    kind = plain_class(layer)
    if getattr(layer, "max_norm", None) is not None:
        return SHORTENED
    if kind is None or not own_function(layer, kind):
        return None
    return remembered(_why_not_alike, layer)


def _why_not_alike(layer: nn.Module) -> str | None:
    kind: Any = plain_class(layer)
    twin = twin_of(layer)
    plain = copy.copy(twin)
    plain.__class__ = kind
    outputs, expected = outputs_of(twin), outputs_of(plain)
    if outputs is None or expected is None or not same(outputs, expected * embed_scale(twin)):
        return differs(kind)
    return None


def _made_of(layer: nn.Module) -> Iterator[str]:
    """All that a layer's outputs depend on, except the values in tensors of more than one element."""
    for name, value in vars(layer).items():
        if isinstance(value, int | float | str | tuple | None) or not name.startswith("_"):
            yield f"{name}={tuple(value.shape) if isinstance(value, Tensor) else value!r}"
    yield repr(layer._modules)
    for name, weight in layer._parameters.items():
        yield f"{name}: {None if weight is None else tuple(weight.shape)}"
    for name, buffer in layer._buffers.items():
        number = buffer is not None and not buffer.is_meta and buffer.numel() == 1
        yield f"{name}: {buffer.item() if buffer is not None and number else number}"


_VERDICTS: dict[Any, str | None] = {}


def remembered(compare: Callable[..., str | None], layer: nn.Module, **settings: Any) -> str | None:
    """The result of a comparison, which is made once for all layers of the same class, size and settings.

    A large layer takes a second, and models have hundreds.
    """
    key = (compare, type(layer), *sorted(settings.items()), *_made_of(layer))
    if key not in _VERDICTS:
        _VERDICTS[key] = compare(layer, **settings)
    return _VERDICTS[key]


def differs(kind: type[nn.Module]) -> str:
    """The reason against a layer that computes something else than the plain class."""
    return f"it computes otherwise than a plain {kind.__name__}"


def plain_class(layer: nn.Module) -> type[nn.Module] | None:
    """The class of known function that a layer's class is or extends."""
    return next((each for each in type(layer).__mro__ if each in PLAIN), None)


def own_function(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a layer has a ``forward`` of its own, which may compute something else than the class that it extends.

    Quantized layers have one too, and compute the same.
    """
    if stands_for_plain(layer):
        return False
    names = [name for name in ("forward", "_conv_forward") if hasattr(kind, name)]
    return any(getattr(type(layer), name) is not getattr(kind, name) for name in names)


def twin_of(layer: Any) -> Any:
    """A copy of a layer with random parameters, in evaluation mode and in main memory.

    Of an embedding, which may have hundreds of thousands of rows, it has only the first.
    """
    generator = torch.Generator().manual_seed(0)
    twin = copy.copy(layer)
    shapes = {name: each.shape for name, each in layer._parameters.items() if each is not None}
    if isinstance(layer, nn.Embedding):
        twin.num_embeddings, twin.padding_idx = min(ROWS, layer.num_embeddings), None
        shapes["weight"] = (twin.num_embeddings, layer.embedding_dim)
    twin._parameters = dict.fromkeys(layer._parameters) | {
        name: nn.Parameter(torch.randn(shape, generator=generator), requires_grad=False)
        for name, shape in shapes.items()
    }
    twin._buffers = {name: None if each is None else _here(each) for name, each in layer._buffers.items()}
    twin._modules = {name: copy.deepcopy(each).cpu().float() for name, each in layer._modules.items()}
    return twin.eval()


def outputs_of(twin: Any) -> Tensor | None:
    """What a layer computes of a small random input; None where it takes another input, or returns no tensor.

    Args:
        twin: from :func:`twin_of`.
    """
    with torch.no_grad():
        try:
            outputs = type(twin).forward(twin, _small_inputs(twin))
        except REFUSALS:
            return None
    return outputs if isinstance(outputs, Tensor) else None


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two outputs in float32 are the same up to rounding."""
    return one.shape == other.shape and bool((one - other).abs().max() <= TOLERANCE["float32"] * other.abs().max())


def embed_scale(layer: nn.Module) -> float:
    """The number that an embedding multiplies by, as PEFT reads it: 1 where there is none, NaN for one without data."""
    scale: Any = getattr(layer, "embed_scale", 1.0)
    if isinstance(scale, Tensor) and scale.is_meta:
        return math.nan
    if isinstance(scale, Tensor):
        return float(scale) if scale.numel() == 1 else 1.0
    return float(scale)


def _here(buffer: Tensor) -> Tensor:
    """A copy of a buffer in main memory; ones for a buffer without data (on the device ``meta``)."""
    number = torch.float32 if buffer.is_floating_point() else buffer.dtype
    return torch.ones(buffer.shape, dtype=number) if buffer.is_meta else buffer.detach().cpu().to(number, copy=True)


def _small_inputs(layer: Any) -> Tensor:
    """A random input for a layer of a known class, as small as it takes it."""
    generator = torch.Generator().manual_seed(1)
    if isinstance(layer, nn.Embedding):
        return torch.arange(min(ROWS, layer.num_embeddings))[None]
    if isinstance(layer, ANY_CONVOLUTION):
        spans = zip(layer.dilation, layer.kernel_size, strict=True)
        shape = (1, layer.in_channels, *(dilation * (size - 1) + 3 for dilation, size in spans))
    elif isinstance(layer, nn.LayerNorm):
        shape = (2, layer.normalized_shape[-1], 2, 2) if channels_first(layer) else (2, *layer.normalized_shape)
    elif isinstance(layer, nn.BatchNorm2d):
        shape = (2, layer.num_features, 2, 2)
    elif isinstance(layer, nn.BatchNorm1d):
        shape = (2, layer.num_features)
    else:
        shape = (2, layer.nx if isinstance(layer, Conv1D) else layer.in_features)
    return torch.randn(shape, generator=generator)


def channels_first(layer: nn.LayerNorm) -> bool:
    """Whether a normalisation is of the channels of images, as ConvNeXt's, timm's and transformers' own may be."""
    return type(layer).__name__.endswith("2d") or getattr(layer, "data_format", "") == "channels_first"


def is_linear(layer: nn.Module) -> bool:
    """Whether a layer is linear; quantized ones and transformers' transposed ``Conv1D`` are too.

    The output layer of torch's attention does not count: it is never called, others read its weights.
    """
    return isinstance(layer, nn.Linear | Conv1D) and not isinstance(layer, NonDynamicallyQuantizableLinear)


def is_attention(module: nn.Module) -> bool:
    """Whether a module is an attention, or a part of one, by the name of its class."""
    return "attention" in type(module).__name__.lower()


def output_embeddings(module: nn.Module) -> nn.Module | None:
    """A language model's output layer, which is left as it is."""
    find = getattr(module, "get_output_embeddings", None)
    return find() if find is not None else None


def input_embeddings(module: nn.Module) -> nn.Module | None:
    """What a transformers model looks its tokens up in; None for a model of another kind, of images say."""
    find = getattr(module, "get_input_embeddings", None)
    try:
        return find() if find is not None else None
    except NotImplementedError:
        return None
