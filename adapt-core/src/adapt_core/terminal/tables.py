"""Sections as tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from adapt_core.utils.units import number_text

if TYPE_CHECKING:
    from rich.console import Console

    from adapt_core.bundles import Section

LONGEST_CELL = 200
"""The most characters of a text that are shown; the report shows all of it."""

LARGEST_MATRIX = 12
"""The most classes of a matrix that is readable on a terminal."""


def print_sections(sections: Sequence[Section], console: Console, elsewhere: str = "see the report") -> None:
    """Prints every section as a table under its title.

    Args:
        sections: what to print.
        console: where.
        elsewhere: where images and large matrices are to be seen, which a terminal cannot show.
    """
    for section in sections:
        if section.kind == "matrix" and len(section.columns) > LARGEST_MATRIX:
            count = len(section.columns)
            console.print(Text(f"{section.title}: {count} × {count}, {elsewhere}"), style="dim")
        elif section.kind == "images":
            console.print(Text(f"{section.title}: {len(section.rows)} images, {elsewhere}"), style="dim")
        elif section.kind == "spans":
            console.print(Text(section.title, style="bold"))
            for text, ranges, remark in section.rows:
                console.print(marked(text, ranges, remark))
        else:
            console.print(Text(section.title, style="bold"))  # as a title of the table it would be as narrow
            console.print(section_table(section))


def marked(text: str, ranges: Sequence[tuple[int, int, str]], remark: str) -> Text:
    """A text with its ranges in reverse, each followed by its label in brackets."""
    found, place = Text(), 0
    for start, end, label in sorted(ranges):
        if start < place:
            continue  # it overlaps one that is shown
        found.append(text[place:start])
        found.append(text[start:end], style="reverse")
        found.append(f" [{label}]", style="dim")
        place = end
    found.append(text[place:])
    return found.append(f"  {remark}", style="dim") if remark else found


def section_table(section: Section) -> Table:
    """The section as a rich table, without its title. No markup in its texts is interpreted."""
    table = Table(box=box.SIMPLE_HEAD)
    named = section.kind == "matrix"
    if named:
        table.add_column("true ↓  predicted →", style="bold")
    for index, column in enumerate(section.columns):
        numeric = bool(section.rows) and all(_is_number(row[index]) for row in section.rows)
        table.add_column(Text(str(column)), justify="right" if numeric else "left", overflow="fold")
    for number, row in enumerate(section.rows):
        cells = [Text(cell_text(value)) for value in row]
        table.add_row(*([Text(str(section.columns[number])), *cells] if named else cells))
    return table


def cell_text(value: Any) -> str:
    """A cell as people read it: numbers rounded, truth as a tick or a cross, a long text cut."""
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if _is_number(value):
        return number_text(value)
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
