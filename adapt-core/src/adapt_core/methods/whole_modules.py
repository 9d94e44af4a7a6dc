"""Modules that are trained whole beside an adapter, and saved with it: PEFT's ``modules_to_save``."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import nn

from adapt_core.errors import AdaptError
from adapt_core.methods.targets import is_quantized, means, meant
from adapt_core.spelling import nearest_ending

WHOLE = ".modules_to_save."
"""A part of the names of parameters in modules that are trained whole."""


def whole_modules(module: nn.Module, asked: Sequence[str], own: Sequence[str]) -> list[str]:
    """The full names of the modules that are trained whole.

    PEFT takes any module whose name ends as an entry does, be it in the middle of a word: by its full name a module is
    less often mistaken.

    Args:
        module: the model.
        asked: by full name, or by what stands after a dot of it.
        own: by full name: the head, and what is newly initialised.

    Raises:
        AdaptError: the model has no such module, or one with quantized weights, or PEFT would take another one too.
    """
    require_modules(module, asked)
    everything = [name for name, _ in module.named_modules() if name]
    named = dict.fromkeys([*own, *meant(asked, everything)] if asked else own)
    names = [name for name in named if not any(name.startswith(f"{other}.") for other in named)]
    for name in names:
        if is_quantized(module.get_submodule(name)):
            raise AdaptError(
                f"method.modules_to_save: {name} cannot be trained, since its weights are quantized",
                f"Add {name} to quantization.skip_modules (llm_int8_skip_modules).",
            )
    for other in everything:
        taken = next((name for name in names if other.endswith(name)), None)
        if taken is not None and other not in names:
            raise AdaptError(
                f"method.modules_to_save: beside {taken} PEFT would train {other} of {type(module).__name__}, whose "
                "name ends alike, and might not load it again",
                f"Leave {taken} out; where it is the head, by train_head: false (LAST_LAYER_TUNING), or with another "
                "method.",
            )
    return names


def require_modules(module: nn.Module, names: Collection[str], key: str = "modules_to_save") -> None:
    """Raises AdaptError for a module to be trained that the model does not have; PEFT would train nothing."""
    for name in names:
        known = [each for each, _ in module.named_modules() if each]
        if not any(means(name, each) for each in known):
            raise AdaptError(
                f"method.{key}: {name!r} is no module of {type(module).__name__}" + nearest_ending(name, known),
                "Name a module as the model's code does.",
            )
