"""The task summarization."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from adapt_nlp.data.table import Table
from adapt_nlp.seq2seq.card import card
from adapt_nlp.seq2seq.columns import PairColumns
from adapt_nlp.seq2seq.task import Seq2Seq
from adapt_nlp.summarization.columns import find_columns
from adapt_nlp.summarization.options import SummarizationData


class Summarization(Seq2Seq):
    """A summary out of a document."""

    answer = "summary"

    @property
    def instruction(self) -> str:
        """What is to be done, where ``task.prefix`` does not say it."""
        return "Summarize the text."

    def find_columns(self, table: Table) -> PairColumns:
        """Those of the document and its summary."""
        return find_columns(table, cast(SummarizationData, self.dataset))

    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``."""
        what = "a document and its summary"
        return card(self.plan, info, folder, self.writer, pipeline="summarization", called="A summarizer", what=what)
