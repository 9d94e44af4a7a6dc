"""Option models in words, for ``adapt explain`` and ``adapt init``."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from adapt_core.options import Options, flat_names

PLAIN = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    type(None): "null",
    Any: "anything",
    list: "list",
    dict: "mapping",
}

LIMITS = {
    "gt": ">",
    "ge": ">=",
    "lt": "<",
    "le": "<=",
    "multiple_of": "that is a multiple of",
    "min_length": "of length at least",
    "max_length": "of length at most",
}


@dataclass(frozen=True)
class OptionInfo:
    """One option, in words.

    Attributes:
        key: its name in its section.
        type: what it takes.
        required: whether it has no default.
        default: the default value, None where there is none.
        flat: the name, or names, of the same parameter at the top level; None where it has none.
        meaning: the help text.
    """

    key: str
    type: str
    required: bool
    default: Any
    flat: str | None
    meaning: str

    @property
    def default_text(self) -> str:
        """The default as a configuration would write it."""
        return "(required)" if self.required else yaml_value(self.default)


def describe(model: type[Options]) -> tuple[OptionInfo, ...]:
    """Every option of a model, in the order of its fields."""
    return tuple(
        OptionInfo(
            key=field.alias or name,
            type=type_in_words(field),
            required=field.is_required(),
            default=None if field.is_required() else field.get_default(call_default_factory=True),
            flat=" or ".join(flat_names(field)) or None,
            meaning=field.description or "",
        )
        for name, field in model.model_fields.items()
    )


def type_in_words(field: FieldInfo) -> str:
    """What a field accepts: ``"whole number > 0, or null"``."""
    members = _members(field.annotation)
    words = [_words(member) for member in sorted(members, key=_nesting) if member is not type(None)]
    limits = _limits(field.metadata)
    text = " or ".join(words) + (f" {limits}" if limits else "")
    return f"{text}, or null" if type(None) in members else text


def yaml_value(value: Any) -> str:
    """A value on one line, as YAML 1.2 reads it back."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./-]*", value) and value.lower() not in _NOT_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False)


_NOT_TEXT = {"true", "false", "null"}


def _members(annotation: Any) -> list[Any]:
    """The members of a union, or the annotation alone."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for argument in get_args(annotation) for member in _members(argument)]
    return [annotation]


def _nesting(annotation: Any) -> int:
    """Orders the members of a union so that ``text or list of text`` cannot be misread."""
    return 1 if get_origin(annotation) in (list, tuple, set, frozenset, dict) else 0


def _words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in PLAIN:
        return PLAIN[annotation]
    if origin is Literal:
        return f"one of {', '.join(yaml_value(argument) for argument in arguments)}"
    if origin in (list, tuple, set, frozenset):
        return f"list of {_union([argument for argument in arguments if argument is not Ellipsis])}"
    if origin is dict:
        return f"mapping of {_union(arguments[:1])} to {_union(arguments[1:])}"
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return f"section of {', '.join(annotation.model_fields)}"
    return getattr(annotation, "__name__", str(annotation))


def _union(annotations: Iterable[Any]) -> str:
    members = [member for annotation in annotations for member in _members(annotation)]
    return " or ".join(_words(member) for member in sorted(members, key=_nesting))


def _limits(metadata: Iterable[Any]) -> str:
    """pydantic's constraints as ``"> 0 and < 1"``."""
    found = []
    for limit in metadata:
        for attribute, words in LIMITS.items():
            value = getattr(limit, attribute, None)
            if value is not None:
                found.append("that is not empty" if (attribute, value) == ("min_length", 1) else f"{words} {value}")
    return " and ".join(found)
