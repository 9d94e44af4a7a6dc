"""Finds the columns that a task needs, by name, and reads checked texts from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.spelling import closest
from adapt_core.utils.units import shortened
from adapt_nlp.data.files import file_format
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import BATCH, View, derived

if TYPE_CHECKING:
    from adapt_nlp.text_classification.options import TextClassificationData

TEXT_NAMES = (
    "text", "sentence", "content", "review", "document", "comment", "message", "utterance", "tweet", "body", "query",
    "question", "premise", "passage", "headline", "input",
)  # fmt: skip
LABEL_NAMES = (
    "label", "labels", "target", "class", "category", "intent", "sentiment", "emotion", "topic", "polarity", "output",
)  # fmt: skip
PAIR_NAMES = (
    ("text", "text_pair"), ("text1", "text2"), ("text_1", "text_2"), ("text_a", "text_b"),
    ("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("sentence_a", "sentence_b"),
    ("premise", "hypothesis"), ("question1", "question2"), ("question", "answer"), ("question", "sentence"),
    ("question", "passage"), ("question", "context"), ("query", "document"), ("query", "passage"),
)  # fmt: skip
"""Usual names of columns, in any case. The first of a tuple is taken even where others of it stand beside it."""


@dataclass(frozen=True, kw_only=True)
class TextColumns:
    """Where a row's text comes from: a column, a pair of columns, or a format string over columns.

    Attributes:
        text, text_pair: column names; ``text`` is None where a format string makes the text.
        format_string, format_names: see :class:`adapt_nlp.data.options.TextDataOptions`.
    """

    text: str | None = None
    text_pair: str | None = None
    format_string: str | None = None
    format_names: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that a row must have."""
        return self.format_names or tuple(name for name in (self.text, self.text_pair) if name is not None)

    def as_dict(self) -> dict[str, Any]:
        """The form kept in ``data.json``, which :meth:`from_dict` reads."""
        return asdict(self) | {"format_names": list(self.format_names)}

    @classmethod
    def from_dict(cls, columns: Mapping[str, Any]) -> TextColumns:
        """From :meth:`as_dict`, whatever other columns stand beside it."""
        return cls(
            text=columns["text"],
            text_pair=columns["text_pair"],
            format_string=columns["format_string"],
            format_names=tuple(columns["format_names"]),
        )

    def texts(self, table: Table) -> tuple[Sequence[str], Sequence[str] | None]:
        """The texts of a table's rows, and the second texts of pairs.

        Raises:
            AdaptError: a column is missing, or a text is empty, not text, or not valid Unicode; names the rows.
        """
        if self.format_string is not None:
            return self._formatted(table, self.format_string), None
        if self.text is None:
            raise ValueError("neither a text column nor a format string")
        pairs = None if self.text_pair is None else read_strings(table, self.text_pair)
        return read_strings(table, self.text), pairs

    def _formatted(self, table: Table, format_string: str) -> Sequence[str]:
        """Texts made with the format string; an absent value is an empty text, as an empty cell is."""
        values = [column(table, name) for name in self.format_names]
        for name, cells in zip(self.format_names, values, strict=True):
            nested = [
                row for row, value in enumerate(cells) if value is not None and not isinstance(value, (str, int, float))
            ]
            if nested:
                raise AdaptError(
                    f"{table.source}: column {name!r} holds neither text nor numbers at {table.place(nested)}.",
                    "Name columns of text or numbers in dataset.format_names (FORMAT_NAMES).",
                )
        make = partial(_format, format_string, self.format_names)
        for row, cells in enumerate(zip(*values, strict=True)):
            try:
                make(*cells)
            except ValueError as error:  # a format such as :.2f over text
                raise AdaptError(
                    f"{table.source}, {table.place([row])}: format_string (FORMAT_STRING) does not fit: {error}.",
                    "Change the format after the colon, or the values.",
                ) from error
        what = "the text that dataset.format_string (FORMAT_STRING) makes"
        return _checked(table, what, derived(make, *values))


def _format(format_string: str, names: Sequence[str], *values: Any) -> str:
    cells = ["" if value is None else value for value in values]
    return format_string.format(*cells, **dict(zip(names, cells, strict=True)))


def column(table: Table, name: str, key: str | None = None) -> Sequence[Any]:
    """The values of a column that must be there.

    Args:
        key: the key of the configuration that names the column, for the message.
    """
    if name not in table.columns:
        why = f", which {key} names" if key else ""
        like = closest(name, table.columns)
        meant = f" Did you mean {like!r}?" if like else ""
        raise UsageError(f"{table.source} has no column {name!r}{why}.{meant}", columns_there_are(table))
    return table.columns[name]


def columns_there_are(table: Table) -> str:
    """A hint that lists the columns."""
    there_are = f"The columns there are: {', '.join(table.columns) or 'none'}."
    if file_format(Path(table.source)) in (".csv", ".tsv"):
        there_are += " They are the file's first line; if that is a row of data, write the columns' names above it."
    return there_are


def choose(
    table: Table, named: str | None, key: str, usual: Sequence[str], what: str, taken: Collection[str] = ()
) -> str:
    """The column that is named, or the one with a usual name.

    Args:
        named: what the configuration says; None to look for a usual name.
        key: the configuration's key for it.
        usual: usual names, lower case; the first wins over the others.
        what: what the column holds, for messages.
        taken: columns that hold something else.

    Raises:
        UsageError: the named column is not there, none has a usual name, or several have.
    """
    if named is not None:
        column(table, named, key)
        return named
    found = _usual(table, usual, taken)
    first = [name for name in found if name.lower() == usual[0]]
    if len(first or found) != 1:
        problem = f"{len(found)} columns could hold {what}: {', '.join(found)}" if found else f"no column holds {what}"
        raise UsageError(f"{table.source}: {problem}.", f"Name it in {key}. {columns_there_are(table)}")
    return (first or found)[0]


def find_text(table: Table, options: TextClassificationData) -> TextColumns:
    """The columns of the text: as configured, else a usual pair, else a usual name.

    Raises:
        UsageError: a named column is not there, or none or more than one is usual.
    """
    if options.format_string is not None:
        names = tuple(options.format_names or ())
        for name in names:
            column(table, name, "dataset.format_names (FORMAT_NAMES)")
        return TextColumns(format_string=options.format_string, format_names=names)
    if options.text_column is not None:
        column(table, options.text_column, "dataset.text_column")
        if options.text_pair_column is not None:
            column(table, options.text_pair_column, "dataset.text_pair_column")
        return TextColumns(text=options.text_column, text_pair=options.text_pair_column)
    taken = () if options.label_column is None else (options.label_column,)
    present = {name.lower(): name for name in table.columns if name not in taken}
    pairs = [(present[a], present[b]) for a, b in PAIR_NAMES if a in present and b in present]
    paired = {name for pair in pairs for name in pair}
    single = [name for name in _usual(table, TEXT_NAMES, taken) if name not in paired]
    if len(pairs) == 1 and not single:
        return TextColumns(text=pairs[0][0], text_pair=pairs[0][1])
    if pairs:
        choices = [*(f"{first} with {second}" for first, second in pairs), *single]
        raise UsageError(
            f"{table.source}: the text could be {', or '.join(choices)}.",
            f"Name it in dataset.text_column (and dataset.text_pair_column). {columns_there_are(table)}",
        )
    return TextColumns(text=choose(table, None, "dataset.text_column", TEXT_NAMES, "the text", taken))


def read_strings(table: Table, name: str) -> Sequence[str]:
    """The values of a column of text, every one of them checked.

    Raises:
        UsageError: there is no such column.
        AdaptError: a value is missing, blank, not text or not valid Unicode; names the rows.
    """
    values = column(table, name)
    other = [row for row, value in enumerate(values) if value is not None and not isinstance(value, str)]
    if other:
        raise AdaptError(
            f"{table.source}: column {name!r} holds values that are not text at {table.place(other)}, "
            f"the first of them {shortened(values[other[0]])}.",
            f"Name a column of text in the configuration, or write these values as text. {columns_there_are(table)}",
        )
    return _checked(table, f"column {name!r}", values if isinstance(values, View) else list(values))


def _checked(table: Table, what: str, texts: Sequence[str | None]) -> Sequence[str]:
    empty: list[int] = []
    broken: list[int] = []
    for start in range(0, len(texts), BATCH):
        part = [text or "" for text in texts[start : start + BATCH]]
        empty += [start + row for row, text in enumerate(part) if not text or text.isspace()]
        try:
            "".join(part).encode()
        except UnicodeEncodeError:
            broken += [start + row for row, text in enumerate(part) if half_a_pair(text)]
    if empty:
        raise AdaptError(
            f"{table.source}: {what} is empty at {table.place(empty)} ({len(empty)} of {len(texts)} rows).",
            "Remove these rows or give them text.",
        )
    if broken:
        raise AdaptError(
            f"{table.source}: {what} is not valid Unicode at {table.place(broken)}: half a surrogate pair.",
            "Write these texts again from their source, or remove the rows.",
        )
    return cast(Sequence[str], texts)


def half_a_pair(text: str) -> bool:
    """Whether a text holds half a surrogate pair, which is no character."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _usual(table: Table, usual: Sequence[str], taken: Collection[str]) -> list[str]:
    """The columns not taken whose names are usual, in the order of the usual names."""
    present: dict[str, list[str]] = {}
    for name in (name for name in table.columns if name not in taken):
        present.setdefault(name.lower(), []).append(name)
    return [name for known in usual for name in present.get(known, [])]
