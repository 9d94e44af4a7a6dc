"""Which layers of a model a method adapts: by name, by pattern, or by preset."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.methods.shared.layer_checks import (
    UNDECLARED,
    WhyNotFit,
    adapted_of,
    called,
    why_left_out,
    why_not_adapted,
)
from adapt_core.models.layers import CONVOLUTIONS, is_attention, is_linear, output_embeddings
from adapt_core.utils.spelling import closest

OUTSIDE = " outside its head"


def resolve(
    module: nn.Module,
    hints: Hints,
    asked: Any,
    default: str = "all-linear",
    types: Collection[str] = (),
    why_not_fit: WhyNotFit | None = None,
) -> list[str] | str:
    """The target modules as PEFT takes them: names or their last parts, or one regular expression.

    Args:
        module: the model, before the method.
        hints: its head and fresh layers. No preset reaches into these, or into a language model's output layer.
        asked: names, parts of names after a dot, one regular expression, or presets; None for the default.
        default: a preset.
        types, why_not_fit: of the method, as in :func:`require_layer_types`: presets leave out what that refuses.

    Raises:
        AdaptError: a name, pattern or preset matches nothing, with the nearest names.
    """
    if isinstance(asked, str) and asked not in PRESETS:
        if not any(_matches(asked, name) for name in _names(module)):
            raise _no_match(module, asked)
        return asked
    wanted = [default] if asked is None else [asked] if isinstance(asked, str) else list(asked)
    if not wanted:
        raise AdaptError(
            "method.target_modules is an empty list",
            "Name layers or a preset, or leave it out for the method's choice.",
        )
    names: list[str] = []
    for each in wanted:
        if each in PRESETS:
            all_of_it = preset(module, hints, each)
            found = adapted_of(module, all_of_it, types, why_not_fit)
            if not found:
                which = f" that the method adapts, which are {', '.join(types) or 'any'}" if all_of_it else OUTSIDE
                raise AdaptError(
                    f"{type(module).__name__} has no layer of the preset {each!r}{which}"
                    + why_left_out(module, all_of_it, types, why_not_fit),
                    "Name layers in method.target_modules.",
                )
        else:
            found = meant([each], _names(module))
            if not found:
                raise _nothing(module, each)
        names += found
    _require_more_than_whole(hints, names)
    return named_exactly(module, dict.fromkeys(names))


def means(entry: str, name: str) -> bool:
    """Whether an entry, as PEFT reads it in a list, means the module of a name: all of it, or its end from a dot on."""
    return f".{name}".endswith(f".{entry}")


def meant(entries: Iterable[str], names: Iterable[str]) -> list[str]:
    """The names that at least one of the entries means; see :func:`means`."""
    endings = tuple(f".{each}" for each in entries)
    return [name for name in names if f".{name}".endswith(endings)]


def selected(module: nn.Module, targets: list[str] | str) -> list[str]:
    """The dotted names of the layers that target modules mean, as PEFT reads them."""
    if isinstance(targets, str):
        return [name for name in _names(module) if _matches(targets, name)]
    return meant(targets, _names(module))


def require_layer_types(
    module: nn.Module, names: Iterable[str], types: Collection[str], method: str, why_not_fit: WhyNotFit | None = None
) -> None:
    """Holds a method to the layers that it declares (``MethodSpec.module_types``), and to those that are called.

    Args:
        module: the model.
        names: the dotted names of the layers that are to be adapted.
        types: class names; a layer of a class that extends one of these will do. A convolution in groups needs the
            name ``Conv2d (grouped)``, an embedding that multiplies ``Embedding (scaled)``. None of them means any
            layer that is called.
        method: what to call it in the error.
        why_not_fit: why a layer of one of the types cannot be adapted; None for :func:`why_not_mergeable`.

    Raises:
        AdaptError: a layer is of another type, or is not called by the module around it, or does not fit.
    """
    wrong = {name: why for name in names if (why := why_not_adapted(module, name, types, why_not_fit))}
    if not wrong:
        return
    name, why = next(iter(wrong.items()))
    more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    says = f": {why}" if why is not UNDECLARED else f"; it adapts {', '.join(types)}"
    raise AdaptError(
        f"method.target_modules: {name} is a {called(module.get_submodule(name))}{more}, which {method} does not "
        f"adapt{says}",
        "Name other layers, or choose a method that adapts these: `adapt explain method NAME` lists the types.",
    )


def preset(module: nn.Module, hints: Hints, name: str) -> list[str]:
    """The dotted names of a preset's layers, in the order of the model."""
    output = output_embeddings(module)
    return [
        key
        for key, layer in module.named_modules()
        if key and layer is not output and not hints.holds(key) and PRESETS[name](layer, _ancestors(module, key))
    ]


def named_exactly(module: nn.Module, names: Iterable[str]) -> list[str] | str:
    """Target modules for PEFT that match these layers and no other: last parts of names, names, or an expression."""
    wanted = list(names)
    everything = _names(module)
    for attempt in (sorted({name.rsplit(".", 1)[-1] for name in wanted}), wanted):
        if set(meant(attempt, everything)) == set(wanted):
            return attempt
    return "|".join(re.escape(name) for name in wanted)


def shortest_endings(module: nn.Module, names: Iterable[str]) -> list[str]:
    """The shortest ends of names that mean these modules and no other; together they mean them all."""
    wanted, everything = list(names), _names(module)
    found: dict[str, None] = {}
    for name in wanted:
        parts = name.split(".")
        ends = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
        found[next((end for end in ends if set(meant([end], everything)) <= set(wanted)), name)] = None
    return list(found)


def _is_norm(layer: nn.Module) -> bool:
    """Whether a layer normalises without statistics of its own: layer, group and root-mean-square normalisation."""
    from torch.nn.modules.batchnorm import _BatchNorm

    if "norm" not in type(layer).__name__.lower() or isinstance(layer, _BatchNorm):
        return False
    return not list(layer.children()) and any(True for _ in layer.parameters())


def _in_attention(ancestors: Sequence[nn.Module]) -> bool:
    return any(is_attention(each) for each in ancestors)


def _in_block(ancestors: Sequence[nn.Module]) -> bool:
    return any(isinstance(each, nn.ModuleList | nn.Sequential) for each in ancestors)


PRESETS: dict[str, Callable[[nn.Module, Sequence[nn.Module]], bool]] = {
    "all-linear": lambda layer, _: is_linear(layer),
    "attention": lambda layer, ancestors: is_linear(layer) and _in_attention(ancestors),
    "mlp": lambda layer, ancestors: is_linear(layer) and _in_block(ancestors) and not _in_attention(ancestors),
    "conv": lambda layer, _: isinstance(layer, CONVOLUTIONS),
    "norm": lambda layer, _: _is_norm(layer),
    "all": lambda layer, _: is_linear(layer) or isinstance(layer, CONVOLUTIONS),
}
"""Presets by what a layer is and what it is part of."""


def _ancestors(module: nn.Module, name: str) -> list[nn.Module]:
    """The modules around a layer, the model itself first."""
    found = [module]
    for part in name.split(".")[:-1]:
        found.append(getattr(found[-1], part))
    return found


def _names(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_modules() if name]


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error as error:
        raise AdaptError(f"method.target_modules: {pattern!r} is no regular expression: {error}") from error


def _require_more_than_whole(hints: Hints, names: Sequence[str]) -> None:
    """Raises AdaptError where all that is to be adapted is trained whole anyway."""
    whole = (*hints.fresh, *(hints.head if hints.train_head is not False else ()))
    if all(any(f"{name}.".startswith(f"{part}.") for part in whole) for name in names):
        first, *others = names
        more = f", and so are {len(others)} more" if others else ""
        raise AdaptError(
            f"method.target_modules: {first} is trained whole anyway{more}: a new head, one that is not frozen, and "
            "batch normalisation where method.train_batch_norm asks for it need no adapter",
            "Name other layers.",
        )


def _nothing(module: nn.Module, asked: str) -> AdaptError:
    layers = {name.rsplit(".", 1)[-1] for name, layer in module.named_modules() if name and not list(layer.children())}
    near = closest(asked, {*layers, *PRESETS})
    return AdaptError(
        f"method.target_modules: {asked!r} matches no layer of {type(module).__name__}"
        + (f"; did you mean {near!r}?" if near else ""),
        f"Layers there are: {', '.join(sorted(layers))}. Presets: {', '.join(PRESETS)}.",
    )


def _no_match(module: nn.Module, pattern: str) -> AdaptError:
    """The error for a regular expression that matches nothing, which often is a name or several, meant as a list."""
    layers = {name.rsplit(".", 1)[-1] for name, layer in module.named_modules() if name and not list(layer.children())}
    known = {*layers, *_names(module)}
    near = [closest(part, layers) or closest(part, known) for part in re.split(r"[\s,]+", pattern) if part]
    meant = ", ".join(each for each in near if each)
    if meant and all(near):
        meant = f"; did you mean the list [{meant}]?"
    else:
        meant = f"; did you mean {near_preset!r}?" if (near_preset := closest(pattern, PRESETS)) else ""
    return AdaptError(
        f"method.target_modules: the text {pattern!r} is read as a regular expression over whole names, and matches no "
        f"layer of {type(module).__name__}{meant}",
        f"Layers there are: {', '.join(sorted(layers))}. Presets: {', '.join(PRESETS)}.",
    )
