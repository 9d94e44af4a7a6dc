"""LoRA and its variants through PEFT."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.methods.lora.options import START_OPTIONS, LoraOptions, LowRankOptions, starts_with_weights
from adapt_core.methods.shared.layer_types import LINEAR
from adapt_core.methods.shared.peft_adapter import PeftAdapter, stored_transposed
from adapt_core.methods.shared.targets import resolve
from adapt_core.models.quantized import is_quantized
from adapt_core.models.ties import separate
from adapt_core.options import library_names
from adapt_core.utils.files import read_json, write_json

PEFT_NAMES = library_names(LoraOptions)
"""Options whose name in ``peft.LoraConfig`` is another."""


class Lora(PeftAdapter):
    """Low-rank updates beside frozen weights."""

    name: ClassVar[str] = "lora"
    fixed: ClassVar[dict[str, Any]] = {}
    """Arguments of ``peft.LoraConfig`` that make a variant of it."""

    def __init__(self, options: LowRankOptions) -> None:
        self.options = options
        self._start: dict[str, torch.Tensor] | None = None

    @property
    def layer_types(self) -> tuple[str, ...]:
        """Those of LoRA; only linear ones where the start decomposes a matrix of the layer's weights or inputs."""
        start = self.options.init_lora_weights
        if start == "olora":  # PEFT 0.21 decomposes a transposed matrix as if it were none
            return ("Linear",)
        return LINEAR if start == "eva" or starts_with_weights(self.options) else super().layer_types

    @property
    def called(self) -> str:
        """Its name, and the start that narrows the types of its layers."""
        narrowed = self.layer_types != super().layer_types
        return f"{self.name} with init_lora_weights={self.options.init_lora_weights}" if narrowed else self.name

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The ``peft.LoraConfig`` for a model."""
        from peft import LoraConfig

        given = {PEFT_NAMES.get(name, name): value for name, value in self.options if name not in START_OPTIONS}
        given["target_modules"] = self._targets(module, hints)
        given["fan_in_fan_out"] = given["fan_in_fan_out"] or stored_transposed(module, given["target_modules"])
        return LoraConfig(**{**given, **self.fixed, **self.start()})

    def _targets(self, module: nn.Module, hints: Hints) -> list[str] | str:
        """The target modules: none by default where parameters are targeted."""
        if self.options.target_modules is None and getattr(self.options, "target_parameters", None):
            return []
        return resolve(module, hints, self.options.target_modules, types=self.layer_types)

    def require_layers(self, module: nn.Module, names: Collection[str]) -> None:
        """Raises AdaptError for a targeted layer of another type, or that cannot start as it is told to."""
        super().require_layers(module, names)
        for name in names if starts_with_weights(self.options) else ():
            layer: Any = module.get_submodule(name)
            if is_quantized(layer):
                raise AdaptError(
                    f"method.init_lora_weights: {self.options.init_lora_weights} takes over a part of the weights, and "
                    f"those of {name} are quantized: what is left of them would be rounded anew",
                    "Choose loftq or true, or leave the base as it is.",
                )
            weight = layer.weight
            if self.options.r > min(weight.shape):
                raise AdaptError(
                    f"method.r: {self.options.r} is more than the {min(weight.shape)} directions of {name}, the "
                    f"first of which init_lora_weights={self.options.init_lora_weights} takes",
                    "Lower r, or name other layers in method.target_modules.",
                )

    def prepare(self, module: nn.Module, names: Collection[str]) -> None:
        """Gives layers whose weight the update takes a part of one of their own: others that share it keep theirs."""
        if starts_with_weights(self.options):
            separate(module, [module.get_submodule(name) for name in names])

    def start(self) -> dict[str, Any]:
        """Further arguments of ``peft.LoraConfig`` that the start of the update needs."""
        return {}

    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        """Adds the adapter; see :meth:`PeftAdapter.apply`."""
        adapted = super().apply(module, hints)
        if starts_with_weights(self.options):
            self._start = {name: each.clone() for name, each in _factors(adapted).items()}
        return adapted

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes PEFT's format; of an update that began with a part of the weights, what has changed since then.

        So the adapter fits the base as its own file has it, and not only what training left of it: ``B A - B0 A0`` is
        an ordinary LoRA of twice the rank (PiSSA, arXiv 2404.02948, appendix on converting PiSSA to LoRA).
        """
        super().save(module, folder)
        if self._start is None:
            return
        file = folder / "adapter_model.safetensors"
        tensors = load_file(file)
        for name, start in self._start.items():
            before = start.to(tensors[name])
            down = ".lora_A" in name
            tensors[name] = torch.cat([tensors[name], before if down else -before], dim=0 if down else 1).contiguous()
        save_file(tensors, file, metadata={"format": "pt"})
        config = read_json(folder / "adapter_config.json")
        config |= {"r": 2 * config["r"], "lora_alpha": 2 * config["lora_alpha"], "init_lora_weights": True}
        write_json(folder / "adapter_config.json", config)


def _factors(module: nn.Module) -> dict[str, torch.Tensor]:
    """The two matrices of every update, by the names that they are saved under."""
    from peft import get_peft_model_state_dict

    state: dict[str, torch.Tensor] = get_peft_model_state_dict(module)
    return {name: each.detach() for name, each in state.items() if ".lora_A" in name or ".lora_B" in name}


class Dora(Lora):
    """LoRA's update on the direction of a weight, with its magnitude trained apart."""

    name: ClassVar[str] = "dora"
    fixed: ClassVar[dict[str, Any]] = {"use_dora": True}
