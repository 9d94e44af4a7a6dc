"""Checks what a configuration says of layers against the model: PEFT ignores what matches none, or only warns."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from copy import copy, deepcopy
from typing import Any

from torch import nn

from adapt_core.errors import AdaptError
from adapt_core.methods.shared.targets import meant
from adapt_core.utils.spelling import nearest_ending


def targeted(module: nn.Module, config: Any, **changes: Any) -> list[str]:
    """The dotted names of the layers that a ``PeftConfig`` chooses; none where it leaves that to PEFT.

    Args:
        module: the model.
        config: of the adapter.
        changes: what the configuration is to say instead.
    """
    from peft.tuners.tuners_utils import check_target_module_exists

    if not getattr(config, "target_modules", None):
        return []
    asked = copy(config)
    for name, value in changes.items():
        setattr(asked, name, value)
    return [name for name, _ in module.named_modules() if name and check_target_module_exists(asked, name)]


def require_effect(module: nn.Module, config: Any, method: str) -> None:
    """Requires that each part of a configuration that is about some layers or parameters matches at least one.

    Args:
        module: the model.
        config: the ``PeftConfig`` of the adapter that it is to get.
        method: its name.

    Raises:
        AdaptError: something matches nothing, with the nearest names.
    """
    _excluded(module, config)
    _blocks(module, config)
    layers = targeted(module, config)
    _patterns(config, [*layers, *_parameters(module, config)], re.search if method == "osf" else _as_name)
    _transposed([module.get_submodule(name) for name in layers], config)


def require_read_as_meant(module: nn.Module, config: Any) -> None:
    """Raises AdaptError where PEFT takes names of layers for those of experts, which are tensors since transformers 5.

    PEFT does so for LoRA on some mixtures of experts, so that an adapter of an older version loads. Dense layers of the
    same names would be left out, and layers of all blocks adapted in place of those of one.
    """
    from peft import PeftType
    from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers

    if config.peft_type != PeftType.LORA or not getattr(config, "target_modules", None):
        return
    read = deepcopy(config)
    try:
        convert_peft_config_for_transformers(read, module, None)
        other = set(read.target_parameters or ()) != set(config.target_parameters or ())
        if not other and targeted(module, read) == targeted(module, config):
            return
        parameters = ", ".join(sorted(read.target_parameters or ()))
        would = f"adapts {parameters} of the experts" if other else "adapts the layers of these names in all blocks"
    except ValueError as error:
        would = f"says: {error}"
    raise AdaptError(
        f"method.target_modules: PEFT takes names of layers of {type(module).__name__} for those of older experts, and "
        f"{would}",
        "Name other layers (target_modules: attention does), and the experts' parameters in method.target_parameters.",
    )


def _excluded(module: nn.Module, config: Any) -> None:
    asked = getattr(config, "exclude_modules", None)
    if not asked:
        return
    # Layers that are not targeted are out too, and may be named. PEFT looks at no module that merely holds layers.
    names = {name for name, each in module.named_modules() if name and not list(each.children())}
    names |= set(targeted(module, config, exclude_modules=None))
    if isinstance(asked, str):
        if not any(_checked("exclude_modules", re.fullmatch, asked, name) for name in names):
            why = "is read as a regular expression over whole names, and matches no layer"
            raise _without_effect("exclude_modules", asked, why, names)
        return
    for entry in sorted(asked):
        if not meant([entry], names):
            holds = meant([entry], (name for name, _ in module.named_modules()))
            why = "holds layers, which are excluded by their own names" if holds else "matches no layer"
            raise _without_effect("exclude_modules", entry, why, names)


def _blocks(module: nn.Module, config: Any) -> None:
    asked, lists = getattr(config, "layers_to_transform", None), getattr(config, "layers_pattern", None)
    if asked is None:
        if lists:
            raise AdaptError(
                "method.layers_pattern says where the blocks of method.layers_to_transform are, which is not given",
                "Give layers_to_transform, or remove layers_pattern.",
            )
        return
    if isinstance(config.target_modules, str):
        raise AdaptError(
            "method.layers_to_transform counts for lists of names alone, and these target modules are a regular "
            "expression, or need one to be told from other layers",
            r"Name the blocks in method.target_modules: one expression, such as '.*layers\.(0|1)\..*q_proj'.",
        )
    names = targeted(module, config, layers_to_transform=None)
    numbers = sorted({int(part) for name in names for part in name.split(".") if part.isdigit()})
    for entry in [lists] if isinstance(lists, str) else lists or ():
        _checked("layers_pattern", re.match, entry, "")
        if not targeted(module, config, layers_to_transform=numbers, layers_pattern=entry):
            known = {part for name in names for part in re.findall(r"([^.]+)\.\d+\.", name)}
            raise _without_effect("layers_pattern", entry, "is no list of blocks that hold targeted layers", known)
    there = [each for each in numbers if targeted(module, config, layers_to_transform=[each])]
    for index in [asked] if isinstance(asked, int) else asked:
        if index not in there:
            raise AdaptError(
                f"method.layers_to_transform: no targeted layer is in a block {index}",
                f"Blocks that hold targeted layers: {', '.join(map(str, there)) or 'none'}.",
            )


def _parameters(module: nn.Module, config: Any) -> list[str]:
    """The dotted names of the parameters that get an update of their own."""
    asked = getattr(config, "target_parameters", None) or ()
    names = [name for name, _ in module.named_parameters()]
    for entry in asked:
        if not meant([entry], names):
            raise _without_effect("target_parameters", entry, "matches no parameter", names)
    return meant(asked, names)


def _patterns(config: Any, names: Collection[str], matches: Callable[[str, str], Any]) -> None:
    for key in ("rank_pattern", "alpha_pattern"):
        given: Collection[str] = getattr(config, key, None) or ()
        found = {entry: {name for name in names if _checked(key, matches, entry, name)} for entry in given}
        taken: set[str] = set()
        for entry, layers in found.items():
            if not layers - taken:  # the first entry that matches a layer counts
                why = (
                    "matches only layers that an entry before it matches too" if layers else "matches no targeted layer"
                )
                raise _without_effect(key, entry, why, names)
            taken |= layers


def _transposed(layers: Sequence[nn.Module], config: Any) -> None:
    kinds = [type(layer).__name__ for layer in layers]
    if kinds and getattr(config, "fan_in_fan_out", False) and "Conv1D" not in kinds:
        raise AdaptError(
            "method.fan_in_fan_out is true, but no targeted layer stores its weight as (in, out); the first is a "
            f"{kinds[0]}",
            "Remove the key: it is set by itself for transformers' Conv1D.",
        )


def _as_name(pattern: str, name: str) -> Any:
    """How PEFT matches a key of a pattern: to the end of a name, from a dot on."""
    return re.match(rf"(.*\.)?({pattern})$", name)


def _checked(key: str, matches: Callable[[str, str], Any], pattern: str, name: str) -> bool:
    try:
        return bool(matches(pattern, name))
    except re.error as error:
        raise AdaptError(f"method.{key}: {pattern!r} is no regular expression: {error}") from error


def _without_effect(key: str, entry: str, why: str, names: Collection[str]) -> AdaptError:
    message = f"method.{key}: {entry!r} {why}{nearest_ending(entry, names)}"
    return AdaptError(message, "Correct the entry, or remove it.")
