"""Words and their tags out of a table, every one of them checked, and words in plain text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed, shortened
from adapt_nlp.data.columns import column, columns_there_are, half_a_pair
from adapt_nlp.data.labels import NameOf
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import derived, failing

WORD = r"""[([{"'“‘«¿¡]|\.{2,}|[^\s([{"'“‘«¿¡]\S*?(?=[.,;:!?…)\]}"'”’»]*(?:\s|$))|\S"""
"""A word in plain text: what stands between spaces, where brackets, quotes and punctuation at its ends are words of
their own. Most data sets cut words so, but for contractions (``do`` and ``n't``), which are left whole."""

NAMES_KEY = "dataset.label_names"

V = TypeVar("V")
Rule = tuple[Callable[[Any], bool], str, str]
"""Whether a word or tag is something that it must not be; what is then said of its column; and what to do."""


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


def read_words(table: Table, name: str) -> Sequence[list[str]]:
    """The words of every sentence.

    Raises:
        UsageError: there is no such column.
        AdaptError: a sentence is no list or has no words, or a word is not text, blank or not valid Unicode; names the
            rows.
    """
    values = _lists(table, name, "words")
    rules: tuple[Rule, ...] = (
        (
            lambda word: not isinstance(word, str),
            f"column {name!r} holds words that are not text",
            'Write every word as text: ["In", "1999"].',
        ),
        (lambda word: not word.strip(), f"column {name!r} holds blank words", "Remove them and their tags."),
        (
            half_a_pair,
            f"column {name!r} is not valid Unicode (half a surrogate pair)",
            "Write these texts again from their source, or remove the rows.",
        ),
    )
    none, *bad = failing(values, lambda words: not words, *(partial(_any, wrong) for wrong, _, _ in rules))
    _refuse(table, none, lambda rows: f"column {name!r} has no words at {rows}", "Remove these rows.")
    _refuse_words(table, values, bad, rules)
    return values


def read_tags(table: Table, name: str, words: Sequence[Sequence[str]], names: NameOf | None) -> Sequence[Sequence[str]]:
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
            whole number, is not valid Unicode, is a number without a name, or is not among the names; names the rows.
    """
    values = _lists(table, name, "tags")
    uneven = [row for row, (tags, own) in enumerate(zip(values, words, strict=True)) if len(tags) != len(own)]
    if uneven:
        first = uneven[0]
        raise AdaptError(
            f"{table.source}: a sentence has not as many tags as words at {table.place(uneven)}; the first of them has "
            f"{len(words[first])} words and {len(values[first])} tags in column {name!r}.",
            "Give every word one tag.",
        )
    rules: list[Rule] = [
        (
            lambda tag: tag is None or (isinstance(tag, str) and not tag.strip()),
            f"column {name!r} lacks tags",
            "Give these words a tag (O for none), or remove the rows.",
        ),
        (
            lambda tag: type(tag) not in (str, int),
            f"column {name!r} holds tags that are neither text nor whole numbers",
            'A tag is text ("B-PER") or a whole number with a name.',
        ),
        (
            lambda tag: isinstance(tag, str) and half_a_pair(tag),
            f"column {name!r} is not valid Unicode (half a surrogate pair)",
            "Write these tags again from their source, or remove the rows.",
        ),
    ]
    if names is None:
        rules.append(
            (
                lambda tag: isinstance(tag, int),
                f"column {name!r} holds numbers, and nothing says which tags they are",
                f"Name them in {NAMES_KEY}, in the order of their numbers, or write the tags as text.",
            )
        )
    _refuse_words(table, values, failing(values, *(partial(_any, wrong) for wrong, _, _ in rules)), rules)
    if names is None:
        return values
    known = set(names.values())
    present = {tag for tags in values for tag in tags}
    found = {tag: names.get(str(tag), tag if tag in known else None) for tag in present}
    unnamed = {tag for tag, called in found.items() if called is None}
    if unnamed:
        shown = [f"{value} ({called})" if value != called else called for value, called in names.items()]
        raise unknown_tags(table, name, values, unnamed, shown)
    return derived(partial(looked_up, {tag: str(called) for tag, called in found.items()}), values)


def looked_up(table: Mapping[Any, V], keys: Sequence[Any]) -> list[V]:
    """What a mapping has for each of some keys."""
    return [table[key] for key in keys]


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


def _lists(table: Table, name: str, what: str) -> Sequence[list[Any]]:
    values = column(table, name)
    wrong = [row for row, value in enumerate(values) if not isinstance(value, (list, tuple))]
    if wrong:
        raise AdaptError(
            f"{table.source}: column {name!r} holds no lists of {what} at {table.place(wrong)}, the first of them "
            f"{shortened(values[wrong[0]])}.",
            "Write one list a sentence, in JSON lines or Parquet, or a CoNLL file. " + columns_there_are(table),
        )
    return derived(list, values)


def _any(wrong: Callable[[Any], bool], entries: Sequence[Any]) -> bool:
    return any(map(wrong, entries))


def _refuse_words(
    table: Table, values: Sequence[Sequence[Any]], bad: Sequence[Sequence[int]], rules: Sequence[Rule]
) -> None:
    """Raises AdaptError for rows that hold a word or tag of a kind, and shows the first of these."""
    for rows, (wrong, what, hint) in zip(bad, rules, strict=True):
        if rows:
            place, entry = next((place, entry) for place, entry in enumerate(values[rows[0]]) if wrong(entry))
            first = f", the first of them word {place + 1}: {shortened(entry)}"
            raise AdaptError(f"{table.source}: {what} at {table.place(rows)}{first}.", hint)


def _refuse(table: Table, rows: Sequence[int], message: Callable[[str], str], hint: str) -> None:
    if rows:
        raise AdaptError(f"{table.source}: {message(table.place(rows))}.", hint)
