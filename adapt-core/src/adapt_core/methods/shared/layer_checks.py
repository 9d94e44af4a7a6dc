"""Which layers a method adapts: by their type, and by what they compute and who calls them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from torch import nn

from adapt_core.methods.shared.layer_types import SCALED, grouped

WhyNotFit = Callable[[nn.Module], str | None]
"""Says why a layer cannot be adapted though its type is declared; None where it can."""

UNDECLARED = "its type is another"


def adapted_of(
    module: nn.Module, names: Iterable[str], types: Collection[str], why_not_fit: WhyNotFit | None = None
) -> list[str]:
    """Those of some layers that a method adapts.

    The arguments are those of :func:`adapt_core.methods.shared.targets.require_layer_types`.
    """
    return [name for name in names if why_not_adapted(module, name, types, why_not_fit) is None]


def why_left_out(
    module: nn.Module, names: Iterable[str], types: Collection[str], why_not_fit: WhyNotFit | None = None
) -> str:
    """The end of an error: why the first layer that is not adapted is not; empty where all are."""
    for name in names:
        why = why_not_adapted(module, name, types, why_not_fit)
        if why is not None:
            kind = called(module.get_submodule(name))
            return f"; {name} is a {kind}" + ("" if why is UNDECLARED else f", and {why}")
    return ""


def why_not_adapted(module: nn.Module, name: str, types: Collection[str], why_not_fit: WhyNotFit | None) -> str | None:
    """Why a method does not adapt a layer; None where it does."""
    from adapt_core.models.layers import why_not_called

    layer, parent = module.get_submodule(name), module.get_submodule(name.rpartition(".")[0])
    why = why_not_called(layer, parent) or _why_not_alone(module, layer)
    if why is not None or not types:
        return why
    if _type_names(layer).isdisjoint(types):
        return UNDECLARED
    return why_not_fit(layer) if why_not_fit else why_not_mergeable(layer) or _why_not_wrapped(name, layer, parent)


def why_not_mergeable(layer: nn.Module) -> str | None:
    """Why an update of a layer's weight would be lost, or do something else once it is merged; None where neither.

    For every method but those that work on outputs alone. Beside the layer, PEFT's tuners compute what a plain layer of
    its class would give with the update as its weight. Merging adds the update to the weight. The two are the same
    where the layer is plain.
    """
    from adapt_core.models.layers import why_not_plain, why_not_stored

    return why_not_stored(layer, "weight") or why_not_plain(layer)


def _why_not_alone(module: nn.Module, layer: nn.Module) -> str | None:
    """Why an adapter on a convolution would miss some of its calls: it stands at several places. None for all others.

    RTMDet's heads do so, one for each size of objects. PEFT replaces a layer at the first of its places, so that the
    others would go on without the adapter, and merging would change them too.
    """
    if not isinstance(layer, nn.modules.conv._ConvNd):
        return None
    places = [name for name, each in module.named_modules(remove_duplicate=False) if each is layer]
    if len(places) == 1:
        return None
    return f"it stands at {len(places)} places, also as {places[-1]}, of which PEFT would adapt the first alone"


def _why_not_wrapped(name: str, layer: nn.Module, parent: nn.Module) -> str | None:
    """Why PEFT's wrapper of a convolution would not do: the model reads from it what only the layer itself has."""
    from adapt_core.models.module_source import settings_read

    if isinstance(layer, nn.modules.conv._ConvNd) and name.rpartition(".")[2] in settings_read(parent):
        return f"{type(parent).__name__} reads settings of it that PEFT's layers do not have (ssf works there)"
    return None


def _type_names(layer: nn.Module) -> set[str]:
    """The class names of a layer; of a quantized one, those of the layer that it was."""
    from adapt_core.models.quantized import original_class

    names = {each.__name__ for each in original_class(layer).__mro__}
    if _is_scaled(layer):
        return {SCALED}
    return set(grouped(*names)) if _is_grouped(layer) else names


def called(layer: nn.Module) -> str:
    """The class of a layer, for an error."""
    name = type(layer).__name__
    return f"{name} (scaled)" if _is_scaled(layer) else grouped(name)[0] if _is_grouped(layer) else name


def _is_grouped(layer: nn.Module) -> bool:
    """Whether a layer is a convolution whose outputs see a part of the inputs only."""
    from torch.nn.modules.conv import _ConvNd

    return isinstance(layer, _ConvNd) and layer.groups > 1


def _is_scaled(layer: nn.Module) -> bool:
    """Whether a layer is an embedding that multiplies its vectors by a number."""
    from adapt_core.models.layers import embed_scale

    return isinstance(layer, nn.Embedding) and embed_scale(layer) != 1.0
