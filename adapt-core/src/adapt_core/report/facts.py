"""Turns nested mappings, such as ``data.json``, into tables for people, by the shapes of their values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapt_core.report.curves import readable
from adapt_core.utils.units import number_text

MOST_ITEMS = 200
"""The most items of a list, or of a table of counts, that are shown."""


@dataclass(frozen=True)
class Bar:
    """A named count, with its share of the largest one of its column."""

    name: str
    counts: tuple[int | None, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Counts:
    """Counts by name, one column for each thing that was counted."""

    name: str
    columns: tuple[str, ...]
    bars: tuple[Bar, ...]
    left_out: int


@dataclass(frozen=True)
class Facts:
    """Single values by name, and the tables of counts beside them."""

    values: tuple[tuple[str, str], ...]
    counts: tuple[Counts, ...]


def facts_of(info: Mapping[str, Any]) -> Facts:
    """Sorts what a mapping holds into single values and tables of counts; what is empty is left out."""
    values: list[tuple[str, str]] = []
    counts: list[Counts] = []
    _collect(info, "", values, counts)
    return Facts(tuple(values), tuple(counts))


def _collect(info: Mapping[str, Any], prefix: str, values: list[tuple[str, str]], counts: list[Counts]) -> None:
    for key, value in info.items():
        if value is None or value in ("", [], {}):
            continue
        name = f"{prefix}{readable(str(key))}"
        if _are_counts(value) and len(value) > 1:
            counts.append(_counts(name, {"rows": value}))
        elif isinstance(value, Mapping) and all(_are_counts(inner) for inner in value.values()):
            counts.append(_counts(name, value))
        elif isinstance(value, Mapping):
            _collect(value, f"{name}: ", values, counts)
        else:
            values.append((name, value_text(value)))


def value_text(value: Any) -> str:
    """A value in words: lists of plain values joined, anything deeper as JSON."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and all(isinstance(item, (str, int, float)) for item in value):
        rest = len(value) - MOST_ITEMS
        return ", ".join(str(item) for item in value[:MOST_ITEMS]) + (f", and {rest} more" if rest > 0 else "")
    return json.dumps(value, ensure_ascii=False)


def _are_counts(value: Any) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in value.values())


def _counts(name: str, columns: Mapping[str, Mapping[str, int]]) -> Counts:
    names = list(dict.fromkeys(str(key) for column in columns.values() for key in column))
    tables = [{str(key): count for key, count in column.items()} for column in columns.values()]
    largest = [max(table.values()) or 1 for table in tables]
    bars = tuple(
        Bar(
            label,
            tuple(table.get(label) for table in tables),
            tuple(round(table.get(label, 0) / top, 3) for table, top in zip(tables, largest, strict=True)),
        )
        for label in names[:MOST_ITEMS]
    )
    return Counts(name, tuple(readable(column) for column in columns), bars, max(len(names) - MOST_ITEMS, 0))
