"""Where the text and the target of a row stand, and texts that stand together in one column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.utils.units import shortened
from adapt_nlp.data.columns import TextColumns, read_strings
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import derived


@dataclass(frozen=True)
class PairColumns:
    """Where a row's text and its target come from.

    Attributes:
        text: what makes the text.
        target: the column of what is to be written.
        together: the column that holds texts by name, ``{"en": …, "ro": …}``, each of which counts as a column; None
            where there is none.
    """

    text: TextColumns
    target: str
    together: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The form kept in ``data.json``, which :meth:`from_dict` reads."""
        return {**self.text.as_dict(), "target": self.target, "together": self.together}

    @classmethod
    def from_dict(cls, columns: Mapping[str, Any]) -> PairColumns:
        """From :meth:`as_dict`."""
        return cls(TextColumns.from_dict(columns), columns["target"], columns["together"])

    def read(self, table: Table) -> tuple[Sequence[str], Sequence[str]]:
        """The texts of a table's rows, and their targets.

        Raises:
            AdaptError: a column is missing, or a text is empty, not text, or not valid Unicode; names the rows.
        """
        table = apart(table, self.together, (*self.text.needed, self.target))
        return self.text.texts(table)[0], read_strings(table, self.target)

    def apart(self, table: Table) -> Table:
        """A table without targets, of which every text that is needed is a column."""
        return apart(table, self.together if self.together in table.columns else None, self.text.needed)


def _value(name: str, values: Mapping[str, Any]) -> Any:
    return values.get(name)


def apart(table: Table, together: str | None, needed: Sequence[str]) -> Table:
    """A table in which texts that stand in one column are columns beside the others.

    Args:
        together: the name of that column; None leaves the table as it is.
        needed: names of which each row must have a text, where they stand in that column.

    Raises:
        AdaptError: a row holds no texts by name, or lacks one that is needed; names the rows.
    """
    if together is None:
        return table
    values = table.columns[together]
    other = [row for row, value in enumerate(values) if not isinstance(value, dict)]
    if other:
        raise AdaptError(
            f"{table.source}: column {together!r} holds no texts by language at {table.place(other)}, the first of "
            f"them {shortened(values[other[0]])}.",
            'Write each as {"en": "…", "ro": "…"}, or remove the rows.',
        )
    names = list(dict.fromkeys(name for value in values for name in value))
    columns = {name: derived(partial(_value, name), values) for name in names}
    for name in needed:
        missing = [row for row, text in enumerate(columns.get(name, ())) if text is None]
        if missing:
            raise AdaptError(
                f"{table.source}: column {together!r} has no {name!r} at {table.place(missing)} ({len(missing)} of "
                f"{len(table)} rows).",
                "Remove these rows, or add the texts.",
            )
    return replace(table, columns={**table.columns, **columns})
