"""What a module takes from its parts other than by calling them, read off the source of its class."""

from __future__ import annotations

import ast
import inspect
import operator
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import nn

FACTS = frozenset(
    {"device", "dim", "dtype", "element_size", "is_cuda", "is_meta", "is_quantized", "ndim", "numel", "requires_grad"}
    | {"shape", "size"}
)
"""What may be asked of a weight without computing with it."""

SETTINGS = frozenset({"dilation", "groups", "kernel_size", "padding", "padding_mode", "stride"})
"""Settings of a convolution."""

ASKING = frozenset({"getattr", "hasattr", "isinstance", "len", "to", "type_as"})
"""Functions and methods that only look at the type, dtype or device of what they are given."""

APART = ("init", "interpolate", "reset", "resize", "tie")
"""How the names of methods begin, underscores aside, that make weights, or change them for inputs of another size."""

UNKNOWN = object()
"""Stands for a value that only a call would tell."""

COMPARISONS: dict[type[ast.cmpop], Any] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}


@dataclass(frozen=True)
class Taken:
    """Something that a class takes from one of its parts.

    Attributes:
        part: the part's name.
        what: ``weight``, a setting, or ``itself``.
        conditions: the tests of the branches around it, each with the outcome that leads to it.
    """

    part: str
    what: str
    conditions: tuple[tuple[ast.expr, bool], ...]


def weights_read(module: nn.Module) -> frozenset[str]:
    """The names of the parts of a module whose ``weight`` its methods compute with, as ``self.name.weight``.

    An adapter on such a layer has no effect, or one on some devices only, where a model has two ways to compute the
    same. A branch that the module's own settings rule out does not count. Parts of a list, and layers that are read
    through a variable, are not found.
    """
    return frozenset(each.part for each in _taken(module) if each.what == "weight")


def settings_read(module: nn.Module) -> frozenset[str]:
    """The names of the parts of a module whose settings its methods read, or that they hand to a function as they are.

    Settings are those of convolutions, such as ``self.name.stride``.
    """
    return frozenset(each.part for each in _taken(module) if each.what != "weight")


def _taken(module: nn.Module) -> Iterator[Taken]:
    for kind in type(module).__mro__:
        if not kind.__module__.startswith(("torch.", "builtins")):
            for each in _taken_in(kind):
                if all(_value(test, module) in (UNKNOWN, wanted) for test, wanted in each.conditions):
                    yield each


@cache
def _taken_in(kind: type) -> tuple[Taken, ...]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):  # no source, or none that stands by itself
        return ()
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    methods = [
        each
        for each in body
        if isinstance(each, ast.FunctionDef)
        and not each.name.strip("_").startswith(APART)
        and [one.arg for one in each.args.args[:1]] == ["self"]  # others make modules, and call them so
    ]
    return tuple(found for each in methods for found in _takes(each))


def _takes(method: ast.FunctionDef) -> Iterator[Taken]:
    around = {child: node for node in ast.walk(method) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(method):
        match node:
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr=part), attr=what, ctx=ast.Load()):
                if what in SETTINGS or (what == "weight" and not _asks_only(node, around)):
                    yield Taken(part, what, tuple(_conditions(node, around)))
            case ast.Call(func=function, args=arguments) if not _calls_or_asks(_name(function)):
                for each in arguments:
                    match each:
                        case ast.Attribute(value=ast.Name(id="self"), attr=part):
                            yield Taken(part, "itself", tuple(_conditions(node, around)))


def _asks_only(node: ast.AST, around: dict[ast.AST, ast.AST]) -> bool:
    """Whether what is done with a weight is to ask for a fact, or to compare it with None."""
    match around[node]:
        case ast.Attribute(attr="data") as data:
            return _asks_only(data, around)
        case ast.Attribute(attr=name):
            return name in FACTS
        case ast.Call(func=function):
            return _name(function) in ASKING and function is not node
        case ast.Compare(ops=ops):
            return all(isinstance(each, ast.Is | ast.IsNot) for each in ops)
    return False


def _calls_or_asks(function: str) -> bool:
    """Whether a function uses only what a wrapper of a layer has too. ``isinstance`` does not: it uses the class."""
    return "checkpoint" in function or (function in ASKING and function != "isinstance")


def _name(function: ast.expr) -> str:
    """The last part of what is called."""
    return ast.unparse(function).rpartition(".")[2]


def _conditions(node: ast.AST, around: dict[ast.AST, ast.AST]) -> Iterator[tuple[ast.expr, bool]]:
    """The tests of the branches around a node, each with the outcome that leads to it."""
    while (outer := around.get(node)) is not None:
        match outer:
            case ast.If(test=test, body=body) if node is not test:
                yield test, node in body
            case ast.IfExp(test=test, body=chosen) if node is not test:
                yield test, node is chosen
        node = outer


def _value(test: ast.expr, module: nn.Module) -> Any:
    """The outcome of a test for a module; UNKNOWN where the module's numbers and switches do not decide it."""
    match test:
        case ast.BoolOp(op=op, values=values):
            found = [_value(each, module) for each in values]
            ends = isinstance(op, ast.Or)  # the value that one is enough of
            return ends if ends in found else UNKNOWN if UNKNOWN in found else not ends
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            found = _value(operand, module)
            return UNKNOWN if found is UNKNOWN else not found
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARISONS:
            pair = _plain(left, module), _plain(right, module)
            return UNKNOWN if UNKNOWN in pair else bool(COMPARISONS[type(op)](*pair))
    found = _plain(test, module)
    return UNKNOWN if found is UNKNOWN else bool(found)


def _plain(node: ast.expr, module: nn.Module) -> Any:
    """A constant, or a number, text or switch of the module or its ``config``; UNKNOWN for anything else."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            found: Any = getattr(module, name, UNKNOWN)
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr="config"), attr=name):
            found = getattr(getattr(module, "config", None), name, UNKNOWN)
        case _:
            return UNKNOWN
    return found if name != "training" and isinstance(found, bool | int | float | str | None) else UNKNOWN
