"""Words and their tags out of a table, every one of them checked, and words in plain text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed, shortened
from adapt_nlp.data.columns import column, columns_there_are
from adapt_nlp.data.labels import NameOf
from adapt_nlp.data.table import Table

WORD = r"""[([{"'“‘«¿¡]|\.{2,}|[^\s([{"'“‘«¿¡]\S*?(?=[.,;:!?…)\]}"'”’»]*(?:\s|$))|\S"""
"""A word in plain text: what stands between spaces, where brackets, quotes and punctuation at its ends are words of
their own. Most data sets cut words so, but for contractions (``do`` and ``n't``), which are left whole."""

NAMES_KEY = "dataset.label_names"


def words_in(text: str) -> list[tuple[int, int]]:
    """Where the words of a plain text stand, ``(start, end)`` in characters; see :data:`WORD`."""
    return [found.span() for found in re.finditer(WORD, text)]


def joined(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """A text of words with spaces between them, and where each stands in it."""
    spans, place = [], 0
    for word in words:
        spans.append((place, place + len(word)))
        place += len(word) + 1
    return " ".join(words), spans


def read_words(table: Table, name: str) -> list[list[str]]:
    """The words of every sentence.

    Raises:
        UsageError: there is no such column.
        AdaptError: a sentence is no list or has no words, or a word is not text, blank or not valid Unicode; names the
            rows.
    """
    values = _lists(table, name, "words")
    _refuse(
        table,
        [row for row, words in enumerate(values) if not words],
        lambda rows: f"column {name!r} has no words at {rows}",
        "Remove these rows.",
    )
    _refuse_words(
        table,
        values,
        lambda word: not isinstance(word, str),
        f"column {name!r} holds words that are not text",
        'Write every word as text: ["In", "1999"].',
    )
    _refuse_words(
        table,
        values,
        lambda word: not word.strip(),
        f"column {name!r} holds blank words",
        "Remove them and their tags.",
    )
    _refuse_words(
        table,
        values,
        lambda word: any("\ud800" <= letter <= "\udfff" for letter in word),
        f"column {name!r} is not valid Unicode (half a surrogate pair)",
        "Write these texts again from their source, or remove the rows.",
    )
    return values


def read_tags(table: Table, name: str, words: Sequence[Sequence[str]], names: NameOf | None) -> list[list[str]]:
    """The name of every word's tag.

    A whole number, and text that is one, is looked up in ``names``; text that is itself a name is taken as it is.

    Args:
        table: the rows.
        name: the column of tags.
        words: of the same rows.
        names: of the tags by what stands in the data; None where tags are their own names.

    Raises:
        UsageError: there is no such column.
        AdaptError: a sentence's tags are no list, or not as many as its words; a tag is missing, is neither text nor a
            whole number, is a number without a name, or is not among the names; names the rows.
    """
    values = _lists(table, name, "tags")
    uneven = [row for row, tags in enumerate(values) if len(tags) != len(words[row])]
    if uneven:
        first = uneven[0]
        raise AdaptError(
            f"{table.source}: a sentence has not as many tags as words at {table.place(uneven)}; the first of them has "
            f"{len(words[first])} words and {len(values[first])} tags in column {name!r}.",
            "Give every word one tag.",
        )
    _refuse_words(
        table,
        values,
        lambda tag: tag is None or (isinstance(tag, str) and not tag.strip()),
        f"column {name!r} lacks tags",
        "Give these words a tag (O for none), or remove the rows.",
    )
    _refuse_words(
        table,
        values,
        lambda tag: type(tag) not in (str, int),
        f"column {name!r} holds tags that are neither text nor whole numbers",
        'A tag is text ("B-PER") or a whole number with a name.',
    )
    if names is None:
        _refuse_words(
            table,
            values,
            lambda tag: isinstance(tag, int),
            f"column {name!r} holds numbers, and nothing says which tags they are",
            f"Name them in {NAMES_KEY}, in the order of their numbers, or write the tags as text.",
        )
        return values
    known = set(names.values())
    found = {tag: names.get(str(tag), tag if tag in known else None) for tags in values for tag in tags}
    unnamed = {tag for tag, called in found.items() if called is None}
    if unnamed:
        shown = [f"{value} ({called})" if value != called else called for value, called in names.items()]
        raise unknown_tags(table, name, values, unnamed, shown)
    return [[str(found[tag]) for tag in tags] for tags in values]


def unknown_tags(
    table: Table, name: str, values: Sequence[Sequence[Any]], unknown: set[Any], known: Sequence[str]
) -> AdaptError:
    """The error for tags that are not among the known ones."""
    rows = [row for row, tags in enumerate(values) if unknown & set(tags)]
    numbers = Counter(tag for row in rows for tag in values[row] if tag in unknown)
    which = listed([f"{tag!r} ({count} word{'s' * (count > 1)})" for tag, count in numbers.most_common()])
    return AdaptError(
        f"{table.source}: column {name!r} has tags that are not among the {len(known)} known ones: {which}; at "
        f"{table.place(rows)}.",
        f"The known tags are {listed(known)}. Correct or remove these rows, add training rows with their tags, or "
        f"change {NAMES_KEY}.",
    )


def _lists(table: Table, name: str, what: str) -> list[list[Any]]:
    values = column(table, name)
    wrong = [row for row, value in enumerate(values) if not isinstance(value, (list, tuple))]
    if wrong:
        raise AdaptError(
            f"{table.source}: column {name!r} holds no lists of {what} at {table.place(wrong)}, the first of them "
            f"{shortened(values[wrong[0]])}.",
            "Write one list a sentence, in JSON lines or Parquet, or a CoNLL file. " + columns_there_are(table),
        )
    return [list(value) for value in values]


def _refuse_words(
    table: Table, values: Sequence[Sequence[Any]], wrong: Callable[[Any], bool], what: str, hint: str
) -> None:
    """Raises AdaptError for rows that hold a word or tag of a kind, and shows the first of these."""
    rows = [row for row, entries in enumerate(values) if any(map(wrong, entries))]
    if rows:
        place = next(place for place, entry in enumerate(values[rows[0]]) if wrong(values[rows[0]][place]))
        first = f", the first of them word {place + 1}: {shortened(values[rows[0]][place])}"
        _refuse(table, rows, lambda places: f"{what} at {places}{first}", hint)


def _refuse(table: Table, rows: Sequence[int], message: Callable[[str], str], hint: str) -> None:
    if rows:
        raise AdaptError(f"{table.source}: {message(table.place(rows))}.", hint)
