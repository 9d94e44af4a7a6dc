"""What a module takes from its parts other than by calling them, read off the source of its class."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache

from torch import nn

FACTS = frozenset(
    {"device", "dim", "dtype", "element_size", "is_meta", "ndim", "numel", "requires_grad", "shape", "size"}
)
"""What may be asked of a weight without computing with it."""

SETTINGS = frozenset({"dilation", "groups", "kernel_size", "padding", "padding_mode", "stride"})
"""Of a convolution."""

APART = ("__init__", "_init", "init", "interpolate", "reset", "_reset", "resize", "tie")
"""How methods begin that make or change weights, or do so for inputs of another size."""


def weights_read(kind: type[nn.Module]) -> frozenset[str]:
    """The names of the parts of a module whose ``weight`` its methods compute with, as ``self.name.weight``.

    An adapter on such a layer has no effect, or one on some devices only, where a model has two ways to compute the
    same. Parts of a list, and weights that are read through a variable, are not found.
    """
    return frozenset(name for name, what in _taken(kind) if what == "weight")


def settings_read(kind: type[nn.Module]) -> frozenset[str]:
    """The names of the parts of a module whose settings its methods read, or that they hand to a function as they are.

    Settings are those of convolutions, such as ``self.name.stride``.
    """
    return frozenset(name for name, what in _taken(kind) if what in SETTINGS or what == "itself")


def _taken(kind: type) -> Iterator[tuple[str, str]]:
    for each in kind.__mro__:
        if not each.__module__.startswith(("torch.", "builtins")):
            yield from _taken_in(each)


@cache
def _taken_in(kind: type) -> frozenset[tuple[str, str]]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):  # no source, or none that stands by itself
        return frozenset()
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    methods = [each for each in body if isinstance(each, ast.FunctionDef) and not each.name.startswith(APART)]
    return frozenset(found for each in methods for found in _takes(each))


def _takes(method: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """Pairs of a part's name and what is taken: ``weight``, a setting, or ``itself``."""
    around = {child: node for node in ast.walk(method) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(method):
        match node:
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr=name), attr=what, ctx=ast.Load()):
                if what in SETTINGS or (what == "weight" and not _asks_only(around[node])):
                    yield name, what
            case ast.Call(func=function, args=arguments) if "checkpoint" not in ast.unparse(function):
                for each in arguments:
                    match each:
                        case ast.Attribute(value=ast.Name(id="self"), attr=name):
                            yield name, "itself"


def _asks_only(node: ast.AST) -> bool:
    """Whether what is done with a weight is to ask for a fact, or to compare it with None."""
    match node:
        case ast.Attribute(attr=name):
            return name in FACTS
        case ast.Call(func=ast.Name(id="isinstance" | "hasattr" | "getattr")):
            return True
        case ast.Compare(ops=ops):
            return all(isinstance(each, ast.Is | ast.IsNot) for each in ops)
    return False
