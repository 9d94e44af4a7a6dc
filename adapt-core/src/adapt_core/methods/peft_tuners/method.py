"""A tuner of PEFT by its own name: ``adapt_core.methods.peft_tuners.method:vera`` makes the method ``vera``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from adapt_core.methods.peft_tuners.source import tuners
from adapt_core.methods.peft_tuners.special import SPECIAL, SoftPrompt
from adapt_core.methods.peft_tuners.tuner import PeftTuner, defaults


def __getattr__(name: str) -> Callable[[Any], PeftTuner]:
    if name not in tuners():
        raise AttributeError(f"the installed PEFT has no tuner {name!r}")
    return _made(name)


@cache
def _made(name: str) -> Callable[[Any], PeftTuner]:
    if name in SPECIAL:
        return SPECIAL[name]
    kind = SoftPrompt if "num_virtual_tokens" in defaults(name) else PeftTuner
    return type(name, (kind,), {"name": name, "__doc__": f"PEFT's {name}."})
