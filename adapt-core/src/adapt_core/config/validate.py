"""Holds one section of a configuration to its option model."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from adapt_core.config.document import Document, KeyPath
from adapt_core.config.flat import Nested, Origin
from adapt_core.config.messages import code_of, english, expectation, shown
from adapt_core.errors import ConfigError, Problem
from adapt_core.options import Options
from adapt_core.utils.spelling import closest


@dataclass(frozen=True)
class Checked:
    """What came of a section.

    Attributes:
        options: None when there are problems.
        problems: values that do not fit.
        rules: values that do not fit together, of which validation finds the first alone.
        unknown: the nested keys that the model does not have.
    """

    options: Options | None
    problems: tuple[Problem, ...] = ()
    rules: tuple[Problem, ...] = ()
    unknown: tuple[KeyPath, ...] = ()


def validate(model: type[Options], nested: Nested, section: str, keys: Collection[str] | None = None) -> Checked:
    """Validates the section, "" for the top level.

    Args:
        model: what the section may hold.
        nested: the configuration.
        section: its name.
        keys: look at these only.
    """
    given = nested.data.get(section, {}) if section else nested.data
    data = {key: value for key, value in given.items() if keys is None or key in keys}
    return _hold(model, nested, (section,) if section else (), data)


def _hold(model: type[Options], nested: Nested, prefix: KeyPath, data: dict[Any, Any]) -> Checked:
    unknown = tuple((*prefix, key) for key in data if not isinstance(key, str))
    data = {key: value for key, value in data.items() if isinstance(key, str)}
    try:
        options = model.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    # Broad: validators are a plugin's own code; whatever they raise is a fault of the plugin, and reported as such.
    except Exception as error:  # noqa: BLE001
        message = f"{model.__module__}.{model.__qualname__} failed on it: {type(error).__name__}: {error}"
        return Checked(None, (nested.problem(prefix, "plugin-broken", message),), (), unknown)
    else:
        return Checked(None if unknown else options, (), (), unknown)
    extra = [error for error in errors if error["type"] == "extra_forbidden"]
    wrong = [error for error in errors if error["type"] != "extra_forbidden"]
    problems = {
        path: _problem(nested, prefix, _section_data(data, path), path, group)
        for path, group in _by_value(wrong, data).items()
    }
    rules = (problems.pop(()),) if () in problems else ()
    unknown = (*unknown, *((*prefix, *_real(error, data)) for error in extra))
    return Checked(None, tuple(problems.values()), rules, unknown)


def validate_options(model: type[Options], values: Mapping[str, Any], what: str) -> Options:
    """Options given in Python, as the model has them.

    Args:
        model: the option model.
        values: by name.
        what: whose they are, for messages: ``"method lora"``.

    Raises:
        ConfigError: a name is unknown, or a value does not fit.
    """
    document = Document.from_mapping(values)
    origins: dict[KeyPath, Origin] = {(key,): Origin(replace(document, file=what), (key,)) for key in values}
    nested = Nested(what, document.data, origins)
    checked = _hold(model, nested, (), document.data)
    unknown = [
        nested.problem(path, "unknown-key", "unknown option", closest(str(path[-1]), model.model_fields))
        for path in checked.unknown
    ]
    if checked.options is None:
        raise ConfigError([*checked.problems, *checked.rules, *unknown])
    return checked.options


def _by_value(errors: list[ErrorDetails], data: dict[str, Any]) -> dict[KeyPath, list[ErrorDetails]]:
    """The errors, grouped by the value that they are about. Of a value and one within it, only the latter is kept.

    Of a field that takes one of several types pydantic reports an error for each type, in a place named after it.
    """
    groups: dict[KeyPath, list[ErrorDetails]] = {}
    for error in errors:
        groups.setdefault(_real(error, data), []).append(error)
    return {
        path: group
        for path, group in groups.items()
        if not path or not any(len(other) > len(path) and other[: len(path)] == path for other in groups)
    }


def _real(error: ErrorDetails, data: Any) -> KeyPath:
    """The part of an error's place that is in the data: the rest names members of unions and keys that are missing."""
    path: KeyPath = ()
    for part in error["loc"]:
        inside = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if inside:
            path, data = (*path, part), data[part]
        elif error["type"] == "missing":
            path = (*path, part)
    return path


def _section_data(data: Any, path: KeyPath) -> Any:
    for part in path:
        held = range(len(data)) if isinstance(data, list) else data if isinstance(data, dict) else ()
        data = data[part] if part in held else None
    return data


def _problem(nested: Nested, prefix: KeyPath, value: Any, path: KeyPath, errors: list[ErrorDetails]) -> Problem:
    code, message = _explained(errors, value)
    if path or not prefix:
        return nested.problem((*prefix, *path), code, message)
    return together(nested, prefix[0], message, code)


def together(nested: Nested, section: str, message: str, code: str = "invalid-value") -> Problem:
    """What is wrong with several keys of a section: it stands at the first of them that was given."""
    for key in nested.data.get(section, {}):
        if re.search(rf"\b{re.escape(str(key))}\b", message):
            return nested.problem((section, key), code, message)
    return nested.problem((section,), code, message)


def _explained(errors: list[ErrorDetails], value: Any) -> tuple[str, str]:
    """The code and the message of the errors about one value."""
    expected = [expectation(error["type"], error.get("ctx", {})) for error in errors]
    if len(errors) > 1 and all(expected):
        words = " or ".join(dict.fromkeys(map(str, expected)))
        return "wrong-type", f"expected {words}, got {shown(value)}"
    # Of the types that a field takes, the one that fits but for its range says most.
    error = next((error for error, words in zip(errors, expected, strict=True) if words is None), errors[0])
    text = english(error["type"], error["input"], error.get("ctx", {}), error["msg"])
    return code_of(error["type"]), f"as a key: {text}" if error["loc"][-1:] == ("[key]",) else text
