"""Weights that several layers of a model share, such as a language model's embeddings and its output layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def separate(module: nn.Module, layers: Iterable[nn.Module]) -> None:
    """Unties the weights that some layers share: every layer that holds one gets a copy of its own.

    Also those that will not change: layers that went on sharing would be tied to the wrong one when a library loads
    them.

    Args:
        module: the model.
        layers: of the model, whose weights are about to change.
    """
    from torch import nn

    changing = {id(each) for layer in layers for each in layer.parameters()}
    for owners in _owners(module).values():
        for layer, name in owners[1:]:
            weight = getattr(layer, name)
            if id(weight) in changing and weight.is_floating_point():
                setattr(layer, name, nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad))


def adopt_untied(module: nn.Module, stored: Collection[str]) -> None:
    """Gives the layers of a model their own weights where a file holds one for each of them.

    Args:
        module: the model, to be loaded into.
        stored: the names of the tensors that the file holds apart.
    """
    own = dict(module.named_parameters(remove_duplicate=False))
    held = Counter(id(own[name]) for name in stored if name in own)
    several = [name for name in stored if name in own and held[id(own[name])] > 1]
    separate(module, [module.get_submodule(name.rpartition(".")[0]) for name in several])


@contextmanager
def untying(module: nn.Module, layers: Iterable[nn.Module]) -> Iterator[None]:
    """Wraps a change of some layers' weights: layers that shared them keep theirs, and the model notes that they do.

    Args:
        module: the model.
        layers: of it, whose weights change.
    """
    separate(module, layers)
    tied = [each for each in module.modules() if getattr(getattr(each, "config", None), "tie_word_embeddings", False)]
    # By their class: PEFT's wrappers pass on whatever they are asked for.
    models: list[Any] = [each for each in tied if hasattr(type(each), "get_expanded_tied_weights_keys")]
    for each in models:
        each.config.tie_word_embeddings = False  # PEFT would change it by a rule that does not hold for T5, and warn
    try:
        yield
    finally:
        for each in models:
            each.config.tie_word_embeddings = True
    # A model and the one in it often have one configuration, which says the same of the ties of both. Looked at before
    # it says anything: transformers finds no ties in a model whose configuration has none.
    parted = {id(each.config) for each in models if _parted(each)}
    for each in models:
        if id(each.config) in parted:
            _declare(each)


def _parted(model: Any) -> bool:
    """Whether weights that the class of a transformers model ties are not the same any more."""
    pairs = model.get_expanded_tied_weights_keys(all_submodels=False).items()
    return not all(_same(model, target, source) for target, source in pairs)


def _declare(model: Any) -> None:
    """Has a transformers model say that its weights are untied, and gives each of them its own."""
    pairs = model.get_expanded_tied_weights_keys(all_submodels=False).items()
    separate(model, [model.get_submodule(name.rpartition(".")[0]) for pair in pairs for name in pair])
    noted = model.all_tied_weights_keys
    model.all_tied_weights_keys = {name: other for name, other in noted.items() if _same(model, name, other)}
    config = model.config
    again = type(config).from_dict({**config.to_dict(), "tie_word_embeddings": False})
    # T5 ties its weights whatever the switch says, which means something else to it; weights that differ stay apart.
    config.tie_word_embeddings = again.tie_word_embeddings


def _same(model: nn.Module, *names: str) -> bool:
    """Whether names are those of one parameter."""
    return len({id(model.get_parameter(name)) for name in names}) == 1


def _owners(module: nn.Module) -> dict[int, list[tuple[nn.Module, str]]]:
    """Which layers hold each parameter, and under which name."""
    found: dict[int, list[tuple[nn.Module, str]]] = {}
    for layer in module.modules():
        for name, weight in layer._parameters.items():
            if weight is not None:
                found.setdefault(id(weight), []).append((layer, name))
    return found
