"""The methods that PEFT offers beside LoRA, by PEFT's own names: entry point ``peft`` in group ``adapt``."""

from __future__ import annotations

from collections.abc import Iterable

from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import MethodSpec
from adapt_core.methods.peft_tuners.source import tuners
from adapt_core.methods.peft_tuners.table import tuner

OWN = frozenset({"adalora", "lora"})
"""Tuners that are a plugin of their own."""


@hookimpl
def adapt_methods() -> Iterable[MethodSpec]:
    """Every tuner of the installed PEFT."""
    return [tuner(name).spec for name in tuners() if name not in OWN]
