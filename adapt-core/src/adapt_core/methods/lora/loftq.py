"""LoftQ's start of LoRA (Li et al. 2023, arXiv 2310.08659): the update makes up for what quantization takes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.interfaces import OWN_BASE
from adapt_core.methods.lora.method import Lora
from adapt_core.methods.lora.nf4_residual import alternate, dequantized, fill, is_transposed, original_weights
from adapt_core.methods.lora.options import LoraOptions
from adapt_core.methods.shared.peft_adapter import FIRST
from adapt_core.methods.shared.second_adapter import base_layers
from adapt_core.models.architecture import name_in_model
from adapt_core.models.layers import is_linear
from adapt_core.models.quantized import quantized_widths, width_of
from adapt_core.utils.files import read_json, write_json

STATE = "loftq_state.json"


class LoftQ(Lora):
    """LoRA whose update starts as the best low-rank approximation of what quantization took from the weights.

    On a base in 4 bits it is one step of the paper's algorithm 1: the base stays as its quantizer makes it, so that
    the adapter fits on any copy of it. On unquantized weights it is the whole algorithm, which puts the values of
    quantized weights in their place: that base is saved beside the adapter.
    """

    options: LoraOptions
    reads_base: bool = True

    def __init__(self, options: LoraOptions) -> None:
        super().__init__(options)
        self.changes_base = False  # until apply sees the base
        self._digest = ""

    def start(self) -> dict[str, Any]:
        """PEFT adds an ordinary update, which :meth:`apply` fills."""
        return {"init_lora_weights": True}

    def require_layers(self, module: nn.Module, names: Collection[str]) -> None:
        """Raises AdaptError for a layer that LoRA does not adapt, or a base that this start does not fit."""
        super().require_layers(module, names)
        layers = {name: module.get_submodule(name) for name in names}
        if self.changes_base:
            _require_replaceable(module, layers)
        else:
            _require_four_bits(module, layers, self.options)

    @torch.no_grad()
    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        """Adds the adapter; see :meth:`PeftAdapter.apply`.

        Raises:
            AdaptError: there is nothing for this start to make up for, or the weights from before cannot be found.
        """
        self.changes_base = not quantized_widths(module)
        adapted = super().apply(module, hints)
        layers = {name_in_model(name): each for name, each in adapted.named_modules() if hasattr(each, "lora_A")}
        weight = None if self.changes_base else original_weights(module)
        digest = hashlib.sha256()
        for name, layer in layers.items():
            base = layer.get_base_layer()
            try:
                if self.changes_base and is_linear(base):
                    alternate(layer, self.options.loftq_iter)
                    digest.update(_bytes(base.weight))
                elif weight and width_of(base) == 4:
                    original = weight(name)
                    original = original.T if is_transposed(base) else original  # as it was quantized
                    held = dequantized(base.weight)
                    fill(layer, original.to(held) - held)
            except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
                raise AdaptError(
                    f"method.init_lora_weights: loftq cannot decompose what quantization takes from {name}: {error}",
                    "Its weights, or alpha / r for it, may be no finite numbers other than zero.",
                ) from error
        self._digest = digest.hexdigest()
        return adapted

    def save_state(self, module: nn.Module, folder: Path) -> None:
        """Notes which base the checkpoint belongs to."""
        write_json(folder / STATE, {"base": self._digest})

    def load_state(self, module: nn.Module, folder: Path) -> None:
        """Loads the adapter of a checkpoint.

        Raises:
            AdaptError: the base that was made anew is not the one that the checkpoint belongs to.
        """
        if self.changes_base and read_json(folder / STATE)["base"] != self._digest:
            raise AdaptError(
                f"method.init_lora_weights: loftq makes another base than the one that {folder} was trained on: what "
                "it decomposes depends on the device and on the number of threads in its last digits",
                "Resume on the same kind of machine with as many threads (OMP_NUM_THREADS).",
            )
        model: Any = module
        model.load_adapter(folder, FIRST, is_trainable=True)

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes PEFT's format, and the base that it belongs to where that is another than the one it began with."""
        super().save(module, folder)
        if not self.changes_base:
            return
        base: Any = module.get_base_model()  # type: ignore[operator]
        path = (folder / OWN_BASE).resolve()
        base.save_pretrained(path, state_dict=_tensors(module))
        config = read_json(folder / "adapter_config.json") | {"base_model_name_or_path": str(path)}
        write_json(folder / "adapter_config.json", config)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of the base model itself, by their names in it, whatever PEFT has put into it."""
    found: dict[str, Tensor] = {}
    for name, layer in base_layers(module).items():
        prefix = f"{name}." if name else ""
        own = {**layer._parameters, **layer._buffers}
        left_out = layer._non_persistent_buffers_set
        found |= {f"{prefix}{leaf}": each for leaf, each in own.items() if each is not None and leaf not in left_out}
    return found


def _bytes(weight: Tensor) -> Any:
    return weight.detach().cpu().contiguous().view(torch.uint8).numpy()


def _require_four_bits(module: nn.Module, layers: Mapping[str, nn.Module], options: LoraOptions) -> None:
    if not any(width_of(layer) == 4 for layer in layers.values()):
        raise AdaptError(
            "method.init_lora_weights: loftq makes up for what quantization takes from weights, and no layer that "
            f"gets an update in {type(module).__name__} is in 4 bits",
            "Quantize the base to 4 bits, or choose another start, such as pissa.",
        )
    if options.loftq_iter > 1:
        raise AdaptError(
            f"method.loftq_iter: {options.loftq_iter} steps quantize other weights than the base's, which is in 4 "
            "bits already",
            "Remove it, or leave the base unquantized: then loftq quantizes its weights itself.",
        )


def _require_replaceable(module: nn.Module, layers: Mapping[str, nn.Module]) -> None:
    if not isinstance(module, PreTrainedModel):
        raise AdaptError(
            "method.init_lora_weights: loftq puts quantized weights in the place of the base's and saves that base as "
            f"a model of transformers, which {type(module).__name__} is not",
            "Choose another start, such as pissa.",
        )
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise AdaptError(
            "method.init_lora_weights: loftq quantizes weights with bitsandbytes, which is not installed",
            "Install adapt-quant, or choose another start, such as pissa.",
        ) from error
    linear = {name: layer for name, layer in layers.items() if is_linear(layer)}
    if not linear:
        raise AdaptError(
            "method.init_lora_weights: loftq quantizes the weights of linear layers, and none in "
            f"{type(module).__name__} gets an update",
            "Name some in method.target_modules, or choose another start.",
        )
    holders: dict[int, list[str]] = {}
    for name, each in module.named_parameters(remove_duplicate=False):
        holders.setdefault(id(each), []).append(name)
    for name, layer in linear.items():
        others = [each for each in holders[id(layer.weight)] if each != f"{name}.weight"]
        if others:
            raise AdaptError(
                f"method.init_lora_weights: loftq would quantize the weight of {name}, which is also {others[0]}",
                f"Leave {name} out of method.target_modules, or choose another start, such as pissa.",
            )
