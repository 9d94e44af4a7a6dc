"""The data of a configuration's source, with the place of every key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from adapt_core.errors import Problem

KeyPath = tuple[Any, ...]
"""The way from the top level to a value: keys of mappings and indices of lists."""

Position = tuple[int, int]
"""Line and column, both from 1, the column in characters."""

MAX_DEPTH = 100
"""How deep a configuration may be nested; a limit that keeps readers within Python's own."""


@dataclass(frozen=True)
class Document:
    """The data of one source of configuration.

    Attributes:
        data: the top-level mapping, of plain dicts, lists, strings, numbers, booleans and None.
        file: the file's name as the user gave it, "command line" for overrides, None for a mapping made in Python.
        positions: where each key and each item of a list stands.
        problems: mistakes that left the rest readable: duplicate keys, unknown tags, numbers that are no numbers.
    """

    data: dict[Any, Any]
    file: str | None = None
    positions: Mapping[KeyPath, Position] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def position(self, path: KeyPath) -> Position | None:
        """Where the key at the end of a path stands, or None where that is not known."""
        return self.positions.get(path)

    @classmethod
    def from_mapping(cls, data: Mapping[Any, Any]) -> Document:
        """A document of data made in Python."""
        return cls({key: plain(value) for key, value in data.items()})


def plain(value: Any) -> Any:
    """The value as what a configuration can hold: tuples and sets become lists, paths text, enums their values."""
    if isinstance(value, Mapping):
        return {plain(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value), key=str)
    if isinstance(value, Enum):
        return plain(value.value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def duplicate_key(path: KeyPath, file: str, first_line: int, position: Position) -> Problem:
    """The problem of a key that stands in one mapping twice."""
    message = f"given twice: in line {first_line} and again here"
    return Problem("given-twice", message, ".".join(map(str, path)), file, *position)
