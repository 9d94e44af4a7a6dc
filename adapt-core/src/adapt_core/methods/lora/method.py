"""LoRA and its variants through PEFT."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from adapt_core.interfaces import Hints
from adapt_core.methods.lora.options import LoraOptions
from adapt_core.methods.peft_adapter import PeftAdapter, stored_transposed
from adapt_core.methods.targets import resolve

PEFT_NAMES = {"alpha": "lora_alpha", "dropout": "lora_dropout"}
"""Options whose name in ``peft.LoraConfig`` is another."""


class Lora(PeftAdapter):
    """Low-rank updates beside frozen weights."""

    fixed: ClassVar[dict[str, Any]] = {}
    """Arguments of ``peft.LoraConfig`` that make a variant of it."""

    def __init__(self, options: LoraOptions) -> None:
        self.options = options

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The ``peft.LoraConfig`` for a model."""
        from peft import LoraConfig

        given = {PEFT_NAMES.get(name, name): value for name, value in self.options}
        given["target_modules"] = resolve(module, hints, given["target_modules"])
        given["fan_in_fan_out"] = given["fan_in_fan_out"] or stored_transposed(module, given["target_modules"])
        return LoraConfig(**given, **self.fixed)


class Dora(Lora):
    """LoRA's update on the direction of a weight, with its magnitude trained apart."""

    fixed: ClassVar[dict[str, Any]] = {"use_dora": True}
