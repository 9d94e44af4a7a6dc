"""Says in plain English what pydantic found wrong with a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from adapt_core.utils.spelling import closest

LONGEST = 60


def dotted(path: tuple[Any, ...]) -> str:
    """A key path as a user writes it: ``training.lr``, ``method.target_modules[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int) and not isinstance(part, bool) and text:
            text += f"[{part}]"
        else:
            name = part if isinstance(part, str) else shown(part)
            text += f".{name}" if text else name
    return text


def shown(value: Any) -> str:
    """A value in a message: as YAML has it, and short."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 1000:
        return "a number of hundreds of digits"
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def english(kind: str, value: Any, context: Mapping[str, Any], fallback: str) -> str:
    """One of pydantic's errors as a sentence fragment.

    Args:
        kind: pydantic's error type.
        value: what was given.
        context: pydantic's error context.
        fallback: pydantic's own message, for the types that no option of Adapt's raises.
    """
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", fallback))
    if kind == "missing":
        return "required, and not given"
    if kind in ("string_too_short", "too_short") and context.get("min_length") == 1:
        return "must not be empty"
    if kind in _EXPECTED:
        hint = f"; write it in quotes: '{value}'" if kind == "string_type" and type(value) in (int, float) else ""
        return f"expected {_EXPECTED[kind]}, got {shown(value)}{hint}"
    if kind in ("literal_error", "enum"):
        return _one_of(str(context.get("expected", "")), value)
    if kind in _LIMITS:
        return f"{_LIMITS[kind](context)}, got {shown(value)}"
    return f"{fallback[:1].lower()}{fallback[1:]}, got {shown(value)}"


def code_of(kind: str) -> str:
    """The code of one of pydantic's error types, a key of :data:`adapt_core.errors.CODES`."""
    if kind == "missing":
        return kind
    if kind in _LIMITS or kind == "finite_number":
        return "out-of-range"
    if kind in ("literal_error", "enum"):
        return "not-a-choice"
    return "wrong-type" if kind in _EXPECTED else "invalid-value"


def expectation(kind: str, context: Mapping[str, Any]) -> str | None:
    """What one member of a union expects, None for an error that is not about the type."""
    return str(context.get("expected", "")) or None if kind == "literal_error" else _EXPECTED.get(kind)


_EXPECTED: dict[str, str] = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_unicode": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "none_required": "nothing",
    "invalid_key": "text as a key",
}

_LIMITS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda context: f"must be greater than {_number(context['gt'])}",
    "greater_than_equal": lambda context: f"must be at least {_number(context['ge'])}",
    "less_than": lambda context: f"must be less than {_number(context['lt'])}",
    "less_than_equal": lambda context: f"must be at most {_number(context['le'])}",
    "multiple_of": lambda context: f"must be a multiple of {_number(context['multiple_of'])}",
    "string_too_short": lambda context: f"must have at least {_number(context['min_length'])} characters",
    "string_too_long": lambda context: f"must have at most {_number(context['max_length'])} characters",
    "string_pattern_mismatch": lambda context: f"must match the pattern {context['pattern']}",
    "too_short": lambda context: f"must have at least {_number(context['min_length'])} items",
    "too_long": lambda context: f"must have at most {_number(context['max_length'])} items",
}


def _number(value: Any) -> Any:
    """A limit as a person writes it: 0, not 0.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _one_of(expected: str, value: Any) -> str:
    """For a word that is none of a field's: the words, and the nearest."""
    words = [word.strip(" '") for word in expected.replace(" or ", ", ").split(",")]
    found = closest(value, words) if isinstance(value, str) else None
    hint = f"; did you mean {found!r}?" if found else ""
    return f"must be {expected}, got {shown(value)}{hint}"
