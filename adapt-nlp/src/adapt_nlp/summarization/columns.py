"""Finds the columns of a document and its summary."""

from __future__ import annotations

from adapt_nlp.data.columns import TextColumns, choose, column
from adapt_nlp.data.table import Table
from adapt_nlp.seq2seq.columns import PairColumns
from adapt_nlp.summarization.options import SummarizationData

DOCUMENT_NAMES = (
    "document", "article", "dialogue", "report", "text", "content", "body", "passage", "source", "input",
)  # fmt: skip
SUMMARY_NAMES = (
    "summary", "highlights", "abstract", "tldr", "summaries", "headline", "title", "target", "output",
)  # fmt: skip
"""Usual names of columns, in any case: those of XSum, CNN/DailyMail, SAMSum, GovReport, BillSum, arXiv and others."""


def find_columns(table: Table, options: SummarizationData) -> PairColumns:
    """The columns of the document and the summary: as configured, else by usual names.

    Raises:
        UsageError: a named column is not there, or none or more than one has a usual name.
    """
    taken = [] if options.text_column is None else [options.text_column]
    taken += options.format_names or []
    target = choose(table, options.summary_column, "dataset.summary_column", SUMMARY_NAMES, "the summary", taken)
    if options.format_string is not None:
        names = tuple(options.format_names or ())
        for name in names:
            column(table, name, "dataset.format_names (FORMAT_NAMES)")
        return PairColumns(TextColumns(format_string=options.format_string, format_names=names), target)
    text = choose(table, options.text_column, "dataset.text_column", DOCUMENT_NAMES, "the document", [target])
    return PairColumns(TextColumns(text=text), target)
