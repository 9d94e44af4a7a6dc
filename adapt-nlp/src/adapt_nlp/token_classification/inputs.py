"""What to tag: plain texts, lists of words, or the rows of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.data.columns import TEXT_NAMES, choose, columns_there_are, read_strings
from adapt_nlp.data.files import read_file
from adapt_nlp.data.table import Table
from adapt_nlp.token_classification.words import joined, read_words, words_in


def read_inputs(texts: Sequence[str], file: Path | None, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows to tag: first the texts, then the file's rows.

    Args:
        texts: each a plain text, or a JSON list of words.
        file: with the run's column of words, or with a text in each row; tags are not needed. ``.txt`` has one text a
            line.
        columns: ``columns`` of the run's ``data.json``.

    Returns:
        ``{"text": …}`` or ``{"tokens": […]}``, and ``columns`` with everything that the row held where it came from a
        file.

    Raises:
        UsageError: nothing to tag, or a column is missing.
        AdaptError: a text or a word is empty or not text; says at which row.
    """
    rows = [_argument(number, text) for number, text in enumerate(texts, start=1)]
    if file is not None:
        table = read_file(file)
        if not len(table):
            raise AdaptError(f"{file} has no rows.", "Check that it was written completely.")
        values = {name: table.columns[name] for name in table.columns}
        for position, row in enumerate(_rows(table, columns["tokens"])):
            held = {name: column[position] for name, column in values.items()}
            rows.append(row | {"columns": json.loads(json.dumps(held, default=str))})
    if not rows:
        raise UsageError("There is nothing to tag.", 'Give texts ("…") or a file (--input FILE).')
    return rows


def words_of(row: Mapping[str, Any]) -> tuple[list[str], str, list[tuple[int, int]]]:
    """The words of a row, its text, and where the words stand in it; of words without a text with spaces between."""
    if "tokens" in row:
        words = list(row["tokens"])
        return words, *joined(words)
    spans = words_in(row["text"])
    return [row["text"][start:end] for start, end in spans], row["text"], spans


def _argument(number: int, text: str) -> dict[str, Any]:
    try:
        words = json.loads(text) if text.lstrip().startswith("[") else None
    except (ValueError, RecursionError):  # a text that begins with a bracket
        words = None
    table = Table("The command line", {"words": [words], "text": [text]}, 1, [number])
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return {"tokens": read_words(table, "words")[0]}
    return {"text": read_strings(table, "text")[0]}


def _rows(table: Table, tokens: str) -> list[dict[str, Any]]:
    if tokens in table.columns or "tokens" in table.columns:  # CoNLL files without names call their words so
        return [{"tokens": words} for words in read_words(table, tokens if tokens in table.columns else "tokens")]
    try:
        name = choose(table, None, "", TEXT_NAMES, "the text")
    except UsageError as error:
        raise UsageError(
            f"{table.source} has neither the column of words {tokens!r} nor one column of texts.",
            f"Give it one of the two. {columns_there_are(table)}",
        ) from error
    return [{"text": text} for text in read_strings(table, name)]
