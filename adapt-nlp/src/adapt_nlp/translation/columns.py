"""Finds the columns of a text and its translation."""

from __future__ import annotations

from collections.abc import Sequence

from adapt_core.errors import UsageError
from adapt_nlp.data.columns import TextColumns, choose, column
from adapt_nlp.data.table import Table
from adapt_nlp.seq2seq.columns import PairColumns, apart
from adapt_nlp.seq2seq.languages import matching
from adapt_nlp.translation.options import TranslationData, TranslationOptions

TOGETHER = "translation"
SOURCE_NAMES = ("source", "src", "source_text", "src_text", "input", "text")
TARGET_NAMES = ("target", "tgt", "target_text", "tgt_text", "output", "translation")
"""Usual names of columns, in any case, where they are not called by their languages."""


def find_columns(table: Table, options: TranslationData, task: TranslationOptions) -> PairColumns:
    """The columns of the text and its translation: as configured, else by language, else by usual names.

    Raises:
        UsageError: a named column or a language is not there, or none or more than one has a usual name.
        AdaptError: a row of the column that holds texts by language holds none.
    """
    together = _together(table, options)
    spread = apart(table, together, ())
    known = [name for name in spread.columns if together is None or name not in table.columns]
    names = tuple(options.format_names or ())
    for name in names:
        column(spread, name, "dataset.format_names (FORMAT_NAMES)")
    if options.format_string is not None:
        text = TextColumns(format_string=options.format_string, format_names=names)
    else:
        text = TextColumns(text=_find(spread, known, options.source_column, "source", task.source_lang, together))
    target = _find(spread, known, options.target_column, "target", task.target_lang, together, text.needed)
    if target in text.needed:
        raise UsageError(
            f"{table.source}: {target!r} would be both the text and its translation.",
            "Name the two in dataset.source_column and dataset.target_column, or the languages in task.source_lang and "
            "task.target_lang.",
        )
    return PairColumns(text, target, together)


def _together(table: Table, options: TranslationData) -> str | None:
    """The column that holds texts by language, where there is one."""
    if options.translation_column is not None:
        column(table, options.translation_column, "dataset.translation_column")
        return options.translation_column
    if TOGETHER not in table.columns:
        return None
    return TOGETHER if any(isinstance(value, dict) for value in table.columns[TOGETHER]) else None


def _find(
    table: Table,
    known: Sequence[str],
    named: str | None,
    role: str,
    language: str,
    together: str | None,
    taken: Sequence[str] = (),
) -> str:
    """The column of a role, ``"source"`` or ``"target"``."""
    key, what = f"dataset.{role}_column", "the text" if role == "source" else "the translation"
    if named is not None:
        column(table, named, key)
        return named
    found = matching(language, known)
    if found is not None:
        return found
    if together is not None:
        raise UsageError(
            f"{table.source}: column {together!r} has texts of {', '.join(known) or 'no language'}, and none of "
            f"{language!r}, which task.{role}_lang ({role}_lang) says.",
            f"Give the language there, or name its key in {key} where the tokenizer calls it otherwise than the data.",
        )
    return choose(table, None, key, SOURCE_NAMES if role == "source" else TARGET_NAMES, what, taken)
