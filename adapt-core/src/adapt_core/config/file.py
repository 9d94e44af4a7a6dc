"""Reads a configuration file, or overrides from the command line, into plain data that remembers where each key stood.

Nothing here knows what the keys mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from adapt_core.config.document import Document, KeyPath, Position
from adapt_core.config.yaml_reader import read_value, read_yaml
from adapt_core.errors import ConfigError, Problem

__all__ = ["COMMAND_LINE", "Document", "KeyPath", "Position", "parse", "parse_overrides", "read"]

COMMAND_LINE = "command line"
MAX_BYTES = 1_000_000


def read(path: str | Path) -> Document:
    """Reads a YAML or JSON file.

    Raises:
        ConfigError: the file cannot be read, or what it holds is not a mapping in YAML or JSON.
    """
    file = str(path)
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        message = f"there is no such file (looked at {_absolute(file)})"
        raise ConfigError([Problem("no-such-file", message, file=file)]) from None
    except IsADirectoryError:
        raise _unreadable(file, "this is a folder; give the configuration file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _unreadable(file, f"the file cannot be read: {reason}") from None
    if len(content) > MAX_BYTES:
        raise _unreadable(file, f"the file is larger than {MAX_BYTES:,} bytes, which no configuration is")
    if b"\0" in content:
        raise _unreadable(file, "the file is binary, not text in UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem("unreadable-file", "the file is not text in UTF-8", file=file, line=line)]) from None
    return parse(text, file)


def parse(text: str, file_name: str) -> Document:
    """Reads text as JSON if the name ends in ``.json`` or it is a JSON object, and as YAML 1.2 otherwise.

    Raises:
        ConfigError: the text is not a mapping in YAML or JSON.
    """
    if file_name.lower().endswith(".json"):
        return _read_json(text, file_name)
    if text.lstrip().startswith("{"):
        try:
            return _read_json(text, file_name)
        except ConfigError:
            pass  # Not JSON: a YAML mapping in braces, or a mistake that the YAML reader reports.
    return read_yaml(text, file_name)


def _read_json(text: str, file_name: str) -> Document:
    from adapt_core.config.json_reader import read_json  # Most files are YAML, and do without the json module.

    return read_json(text, file_name)


def parse_overrides(arguments: Iterable[str]) -> Document:
    """Reads ``key=value`` arguments: dotted keys, values in YAML (``training.lr=1e-3``, ``LR=1e-3``).

    Raises:
        ConfigError: an argument has another form, or two contradict each other.
    """
    data: dict[Any, Any] = {}
    problems: list[Problem] = []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        names = key.strip().split(".")
        if not equals or not all(names):
            message = f"expected key=value, such as training.lr=1e-4, got {argument!r}"
            problems.append(Problem("invalid-override", message, file=COMMAND_LINE))
            continue
        try:
            value = read_value(text, COMMAND_LINE)
        except ConfigError as error:
            problems += [Problem(each.code, each.message, key, COMMAND_LINE) for each in error.problems]
            continue
        if not _insert(data, names, value):
            problems.append(Problem("given-twice", "given twice", key, COMMAND_LINE))
    if problems:
        raise ConfigError(problems)
    return Document(data, COMMAND_LINE)


def _insert(data: dict[Any, Any], names: list[str], value: Any) -> bool:
    """Puts a value at a dotted key; False when something is there already."""
    for name in names[:-1]:
        inner = data.setdefault(name, {})
        if not isinstance(inner, dict):
            return False
        data = inner
    if names[-1] in data:
        return False
    data[names[-1]] = value
    return True


def _absolute(file: str) -> str:
    return os.path.abspath(file)  # noqa: PTH100  # Path.absolute() keeps "..".


def _unreadable(file: str, reason: str) -> ConfigError:
    return ConfigError([Problem("unreadable-file", reason, file=file)])
