"""Modules that are trained whole beside an adapter, and saved with it: PEFT's ``modules_to_save``."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import nn

from adapt_core.errors import AdaptError
from adapt_core.methods.shared.targets import means, meant
from adapt_core.models.quantized import is_quantized
from adapt_core.utils.spelling import nearest_ending


def whole_modules(module: nn.Module, asked: Sequence[str], own: Sequence[str]) -> list[str]:
    """The full names of the modules that are trained whole.

    PEFT takes any module whose name ends as an entry does, even in the middle of a word. Full names are less often
    mistaken.

    Args:
        module: the model.
        asked: by full name, or by what stands after a dot of it.
        own: by full name: the head, and what is newly initialised.

    Raises:
        AdaptError: the model has no such module, or one with quantized weights, or PEFT would take another one too.
    """
    require_modules(module, asked)
    everything = [name for name, each in module.named_modules() if name and _holds_something(each)]
    named = dict.fromkeys([*own, *(meant(asked, everything) if asked else ())])
    names = [name for name in named if not any(name.startswith(f"{other}.") for other in named)]
    for name in names:
        if is_quantized(module.get_submodule(name)):
            raise AdaptError(
                f"method.modules_to_save: {name} cannot be trained, since its weights are quantized",
                f"Add {name} to quantization.skip_modules (llm_int8_skip_modules).",
            )
    for other in everything:
        taken = next((name for name in names if other.endswith(name)), None)
        if taken is None or other in names:
            continue
        around = next((name for name in names if other.startswith(f"{name}.")), None)
        if around is not None:
            raise AdaptError(
                f"method: {around} of {type(module).__name__} would be trained whole, and PEFT, which goes by how "
                f"names end, would take {other} in it for {taken} and not load one within the other again",
                f"Leave {around} as it is: train_head: false (LAST_LAYER_TUNING) where it is the head. Or choose "
                "another method.",
            )
        raise AdaptError(
            f"method: beside {taken} of {type(module).__name__}, which is to be trained whole, PEFT would train "
            f"{other}, since its name ends alike",
            f"Name {other} too in method.modules_to_save, or have neither trained.",
        )
    return names


def _holds_something(module: nn.Module) -> bool:
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())


def require_modules(module: nn.Module, names: Collection[str], key: str = "modules_to_save") -> None:
    """Raises AdaptError for a module to be trained that the model does not have; PEFT would train nothing."""
    for name in names:
        known = [each for each, _ in module.named_modules() if each]
        if not any(means(name, each) for each in known):
            raise AdaptError(
                f"method.{key}: {name!r} is no module of {type(module).__name__}" + nearest_ending(name, known),
                "Name a module as the model's code does.",
            )
