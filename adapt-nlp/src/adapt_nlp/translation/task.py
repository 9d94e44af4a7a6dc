"""The task translation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from adapt_nlp.data.table import Table
from adapt_nlp.seq2seq.card import card
from adapt_nlp.seq2seq.columns import PairColumns
from adapt_nlp.seq2seq.task import Seq2Seq
from adapt_nlp.translation.columns import find_columns
from adapt_nlp.translation.options import TranslationData, TranslationOptions


class Translation(Seq2Seq):
    """A text in another language."""

    answer = "translation"

    @property
    def instruction(self) -> str:
        """What is to be done, where ``task.prefix`` does not say it."""
        options = cast(TranslationOptions, self.options)
        return f"Translate the text from {options.source_lang} into {options.target_lang}."

    def find_columns(self, table: Table) -> PairColumns:
        """Those of the text and its translation."""
        return find_columns(table, cast(TranslationData, self.dataset), cast(TranslationOptions, self.options))

    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``."""
        options = cast(TranslationOptions, self.options)
        what = f"a text ({options.source_lang}) and its translation ({options.target_lang})"
        return card(self.plan, info, folder, self.writer, pipeline="translation", called="A translator", what=what)
