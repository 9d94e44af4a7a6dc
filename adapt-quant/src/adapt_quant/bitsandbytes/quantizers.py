"""The quantizers: their arguments for transformers, and the way back."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig

from adapt_core.bundles import Memory, Model
from adapt_core.errors import AdaptError
from adapt_core.methods.shared.targets import shortest_endings
from adapt_core.models.layers import is_linear
from adapt_core.models.tolerance import TOLERANCE
from adapt_core.utils.spelling import nearest_ending
from adapt_quant.bitsandbytes.layers import (
    biases_trained,
    dequantized,
    measure,
    misread,
    read_past,
    ready,
    unquantized,
    with_own_weights,
    with_plain_weights,
)
from adapt_quant.bitsandbytes.options import EightBitOptions, FourBitOptions

MARKS = (
    "is_loaded_in_4bit",
    "is_loaded_in_8bit",
    "is_quantized",
    "quantization_method",
    "hf_quantizer",
    "hf_device_map",
)
"""What transformers leaves on a quantized model; libraries take it for one as long as they are there."""


class BitsAndBytes(ABC):
    """What both widths share."""

    def __init__(self, options: Any) -> None:
        self.options = options
        # One line for every product of matrices, to say what its paper says: inputs are cast to 16 bits.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Arguments of ``BitsAndBytesConfig``, but for the modules that stay as they are."""

    @abstractmethod
    def tolerance(self) -> float | None:
        """How far outputs may be from those of the dequantized model, as a share of the largest."""

    def load_kwargs(self, keep: Sequence[str]) -> Mapping[str, Any]:
        """``dtype``, ``quantization_config`` and ``device_map`` for ``from_pretrained``.

        What is not quantized is float32, in which small updates do not vanish.
        """
        settings = BitsAndBytesConfig(**self._settings(keep))
        device = torch.cuda.current_device() if torch.cuda.is_available() else "cpu"
        return {"dtype": torch.float32, "quantization_config": settings, "device_map": {"": device}}

    def load_code(self, keep: Sequence[str]) -> str:
        """The same as Python source."""
        given = ", ".join(f"{name}={value!r}" for name, value in self._settings(keep).items())
        return f"dtype=torch.float32, quantization_config=transformers.BitsAndBytesConfig({given})"

    def prepare(self, model: Model) -> Model:
        """Mends what the libraries leave undone; see :func:`adapt_quant.bitsandbytes.layers.ready`.

        Raises:
            AdaptError: the model has no layer to quantize, or one without weights, or one whose weights the library
                reads wrong or the model reads itself, or none that was to be skipped.
        """
        self._require_skipped(model.module)
        if empty := unquantized(model.module):
            raise AdaptError(
                f"The checkpoint has no weights for {', '.join(empty)}, so there is nothing to quantize in "
                f"{'it' if len(empty) == 1 else 'them'}",
                f"Have the new layers trained whole: quantization.skip_modules (llm_int8_skip_modules): "
                f"[{', '.join(empty)}].",
            )
        if not self.memory(model.module).parameters:
            raise AdaptError(
                f"{type(model.module).__name__} has no Linear or Conv1D (what transformers quantizes) outside its head "
                "and skip_modules: nothing was quantized",
                "Leave the quantizer out.",
            )
        if past := read_past(model.module):
            name, around = next(iter(past.items()))
            raise AdaptError(
                f"{len(past)} layers of {type(model.module).__name__} cannot be quantized, {name} first: {around} "
                "computes with its weight past it",
                "Have them stay as they are: quantization.skip_modules (llm_int8_skip_modules): "
                f"[{', '.join(shortest_endings(model.module, list(past)))}].",
            )
        if wrong := misread(model.module):
            raise AdaptError(
                f"bitsandbytes computes with wrong weights in 4 bits here, in {len(wrong)} layers of "
                f"{type(model.module).__name__}, {wrong[0]} first: a row of theirs is no multiple of 64 values",
                "Use 8 bits (load_in_8bit), or have these layers stay as they are: quantization.skip_modules "
                f"(llm_int8_skip_modules): [{', '.join(shortest_endings(model.module, wrong))}].",
            )
        ready(model.module)
        return model

    def dequantize(self, module: nn.Module) -> nn.Module:
        """The model with ordinary layers in float32, in place, on the CPU: it takes several times the memory there."""
        for name, layer in list(module.named_modules()):
            if (plain := dequantized(layer)) is not None:
                module.set_submodule(name, plain)
        for mark in MARKS:
            if mark in vars(module):
                delattr(module, mark)
        config: Any = module.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        return module.cpu().float()

    def memory(self, module: nn.Module) -> Memory:
        """What the weights take: measured on the tensors that are there."""
        return measure(module)

    def notices(self) -> Sequence[str]:
        """None, but for a width that has something to say."""
        return ()

    def _require_skipped(self, module: nn.Module) -> None:
        known = {name: any(map(is_linear, each.modules())) for name, each in module.named_modules() if name}
        for skipped in self.options.skip_modules:
            linear = [known[name] for name in known if re.fullmatch(_named(skipped), name)]
            if not any(linear):
                which = "has no linear layer in it" if linear else f"is no module of {type(module).__name__}"
                raise AdaptError(
                    f"quantization.skip_modules: {skipped!r} {which}"
                    + nearest_ending(skipped, [name for name, holds in known.items() if holds]),
                    "Name a module with linear layers: in full, or by what stands after a dot of its name.",
                )

    def _settings(self, keep: Sequence[str]) -> dict[str, Any]:
        kept = list(dict.fromkeys([*keep, *map(_named, self.options.skip_modules)]))
        return {**self.settings(), "llm_int8_skip_modules": kept}


def _named(name: str) -> str:
    """The regular expression of the modules of a name: by all of it, or by what stands after a dot.

    transformers skips all that is in a module whose name such an expression matches; without one, only layers whose own
    name ends so, and modules whose full name is given.
    """
    return rf"(?:.*\.)?{re.escape(name)}"


class FourBit(BitsAndBytes):
    """4 bits: NF4 or FP4."""

    options: FourBitOptions

    def settings(self) -> dict[str, Any]:
        """As in the class above."""
        return {
            "load_in_4bit": True,
            "bnb_4bit_compute_dtype": self.options.compute_dtype,
            "bnb_4bit_quant_type": self.options.quant_type,
            "bnb_4bit_use_double_quant": self.options.double_quant,
        }

    def tolerance(self) -> float | None:
        """Rounding in the dtype that layers compute in: weights are dequantized for every product."""
        return TOLERANCE[self.options.compute_dtype]

    def notices(self) -> Sequence[str]:
        """That a CPU multiplies slowly in float16: MiniLM's steps took 18 times as long as in float32."""
        if self.options.compute_dtype != "float16" or torch.cuda.is_available():
            return ()
        return (
            "A CPU multiplies slowly in float16: float32 for quantization.compute_dtype (bnb_4bit_compute_dtype) may "
            "be many times as fast.",
        )

    def before_sharding(self, module: nn.Module) -> None:
        """See :func:`adapt_quant.bitsandbytes.layers.with_plain_weights`.

        Raises:
            AdaptError: the bias of a 4-bit layer is trained.
        """
        if trained := biases_trained(module):
            raise AdaptError(
                f"The bias of {trained[0]} would be trained, and bitsandbytes changes the type of a 4-bit layer's bias "
                "as it computes: FSDP cannot shard such a one",
                "Leave the biases as they are (method.bias: none), or choose launch.name: ddp.",
            )
        with_plain_weights(module)

    def after_gathering(self, module: nn.Module) -> None:
        """See :func:`adapt_quant.bitsandbytes.layers.with_own_weights`."""
        with_own_weights(module)


class EightBit(BitsAndBytes):
    """8 bits: LLM.int8()."""

    options: EightBitOptions

    def settings(self) -> dict[str, Any]:
        """As in the class above."""
        return {
            "load_in_8bit": True,
            "llm_int8_threshold": self.options.threshold,
            "llm_int8_has_fp16_weight": self.options.has_fp16_weight,
        }

    def tolerance(self) -> float | None:
        """None: it quantizes the inputs of its layers too, which no dequantized weight makes up for."""
        return None
