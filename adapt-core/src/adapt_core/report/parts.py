"""A task's own parts of the page, in the form that the templates show."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from adapt_core.bundles import Section
from adapt_core.report.facts import value_text
from adapt_core.report.matrix import matrix_of

STYLES = 8
"""Colours that labels of marked ranges take in turn."""

MIME_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8": "image/jpeg", b"<svg": "image/svg+xml", b"<?xm": "image/svg+xml"}
"""By how a file begins."""


@dataclass(frozen=True)
class Grid:
    """A table of texts; ``note`` says what was left out."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


@dataclass(frozen=True)
class Piece:
    """A piece of a text: plain, or marked with the labels of the ranges that it is in.

    Attributes:
        text: what stands there.
        labels: joined; empty where it is plain.
        style: the number of its colour.
    """

    text: str
    labels: str = ""
    style: int = 0


def part_of(section: Section) -> dict[str, Any]:
    """A task's section for the template of its kind.

    Raises:
        ValueError: an image is in none of the formats that a page shows.
    """
    part: dict[str, Any] = {"kind": section.kind, "title": section.title}
    if section.kind == "matrix":
        return part | {"matrix": matrix_of(section)}
    if section.kind == "spans":
        names = list(
            dict.fromkeys([*section.columns, *(label for _, ranges, _ in section.rows for *_, label in ranges)])
        )
        styles = {name: number % STYLES for number, name in enumerate(names)}
        texts = [(pieces(text, ranges, styles), cell(remark)) for text, ranges, remark in section.rows]
        return part | {"labels": [Piece(name, name, styles[name]) for name in names], "texts": texts}
    if section.kind == "images":
        return part | {"images": [(data_address(content), cell(caption)) for content, caption in section.rows]}
    rows = [[value if isinstance(value, bool) else cell(value) for value in row] for row in section.rows]
    columns = [str(column) for column in section.columns]
    numeric = [
        bool(section.rows) and all(isinstance(row[number], (int, float)) for row in section.rows)
        for number in range(len(columns))
    ]
    return part | {"grid": Grid(columns, rows), "numeric": numeric}


def pieces(text: str, ranges: Sequence[tuple[int, int, str]], styles: dict[str, int]) -> list[Piece]:
    """A text cut at the ends of its ranges, which may overlap.

    Args:
        text: the whole.
        ranges: ``(start, end, label)`` in characters.
        styles: the number of each label's colour.
    """
    ends = {0, len(text), *(end for start, stop, _ in ranges for end in (start, stop))}
    places = sorted(end for end in ends if 0 <= end <= len(text))
    found = []
    for start, end in pairwise(places):
        labels = [label for first, last, label in ranges if first <= start and end <= last]
        found.append(Piece(text[start:end], ", ".join(labels), styles[labels[0]] if labels else 0))
    return found


def data_address(content: bytes) -> str:
    """An image's file as an address that holds it. Raises ValueError for a format that a page does not show."""
    kind = next((kind for begin, kind in MIME_TYPES.items() if content.startswith(begin)), None)
    if kind is None:
        raise ValueError(f"an image of the report must be PNG, JPEG or SVG; this one begins with {content[:4]!r}")
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return "not a number"
    return value if isinstance(value, str) else value_text(value)
