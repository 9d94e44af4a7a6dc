"""Whether the values of a dataclass are of the types of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


@cache
def types_of(spec: type) -> dict[str, Any]:
    """The types of a spec's fields, by name."""
    return get_type_hints(spec)


def fits(value: object, hint: Any) -> bool:
    """Whether a value is of one of the types that specs have."""
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return value in parts
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(fits(each, parts[0]) for each in value)
    if get_origin(hint) is Mapping:
        pairs = value.items() if isinstance(value, Mapping) else [(None, None)]
        return all(fits(key, parts[0]) and fits(each, parts[1]) for key, each in pairs)
    if get_origin(hint) in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else hint)


def called(hint: Any) -> str:
    """A type for people."""
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, parts))
    if get_origin(hint) is tuple:
        return f"a tuple of {called(parts[0])}"
    if get_origin(hint) is Mapping:
        return f"a mapping from {called(parts[0])} to {called(parts[1])}"
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(called, parts))
    return "None" if hint is NoneType else str(hint.__name__)
