"""The class behind ``lora`` and ``dora``, which depends on how the update starts."""

from __future__ import annotations

from adapt_core.methods.lora.eva import Eva, EvaDora
from adapt_core.methods.lora.loftq import LoftQ
from adapt_core.methods.lora.method import Dora, Lora
from adapt_core.methods.lora.options import DoraOptions, LoraOptions


def lora(options: LoraOptions) -> Lora:
    """LoRA; EVA's start has phases that the others do not have."""
    kinds: dict[bool | str, type[Lora]] = {"eva": Eva, "loftq": LoftQ}
    return kinds.get(options.init_lora_weights, Lora)(options)


def dora(options: DoraOptions) -> Lora:
    """DoRA, likewise."""
    return EvaDora(options) if options.init_lora_weights == "eva" else Dora(options)
