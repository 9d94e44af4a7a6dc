"""The parts of a model whose activations can be recomputed."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn


def blocks_of(module: nn.Module) -> list[nn.Module]:
    """The blocks of a model's backbone: those that the library itself could recompute, or else its stages."""
    found: list[nn.Module] = []
    for name, each in module.named_modules():
        if name.rpartition(".")[2] == "backbone":
            found += _marked(each) or list(_stages(each))
    return list(dict.fromkeys(found))  # one may stand at several places


def _marked(backbone: nn.Module) -> list[nn.Module]:
    """What has the libraries' switch ``with_cp``, the innermost alone: what holds blocks hands it down to them."""
    marked = {name: each for name, each in backbone.named_modules() if name and hasattr(each, "with_cp")}
    return [each for name, each in marked.items() if not any(other.startswith(f"{name}.") for other in marked)]


def _stages(backbone: nn.Module) -> Iterator[nn.Module]:
    """What the backbone calls that has more than one layer."""
    for child in backbone.children():
        if isinstance(child, nn.ModuleList):
            yield from _stages(child)
        elif any(True for _ in child.children()):
            yield child
