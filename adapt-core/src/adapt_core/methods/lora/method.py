"""LoRA through PEFT."""

from __future__ import annotations

from typing import Any

from torch import nn

from adapt_core.interfaces import Hints
from adapt_core.methods.lora.options import LoraOptions
from adapt_core.methods.peft_adapter import PeftAdapter

PEFT_NAMES = {"alpha": "lora_alpha", "dropout": "lora_dropout"}
"""Options whose name in ``peft.LoraConfig`` is another."""


class Lora(PeftAdapter):
    """Low-rank updates beside frozen weights."""

    def __init__(self, options: LoraOptions) -> None:
        self.options = options

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The ``peft.LoraConfig`` for a model."""
        from peft import LoraConfig

        given = {PEFT_NAMES.get(name, name): value for name, value in self.options}
        given["target_modules"] = self.targets(module, hints, given.pop("target_modules"))
        return LoraConfig(**given)
