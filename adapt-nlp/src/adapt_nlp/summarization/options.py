"""Options of summarization. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from pydantic import model_validator

from adapt_core.options import option
from adapt_nlp.data.options import FORMAT_NAMES, FORMAT_STRING, TextDataOptions
from adapt_nlp.seq2seq.options import Seq2SeqOptions


class SummarizationOptions(Seq2SeqOptions):
    """How documents become the model's input, what it writes, and how that is measured."""


class SummarizationData(TextDataOptions):
    """The data of summarization: a document and its summary in each row."""

    text_column: str | None = option(
        None,
        min_length=1,
        help="Column of the document; by default found by its usual names (document, article, dialogue, text, …).",
    )
    summary_column: str | None = option(
        None,
        min_length=1,
        help="Column of the summary; by default found by its usual names (summary, highlights, abstract, …).",
    )

    @model_validator(mode="after")
    def _columns_differ(self) -> SummarizationData:
        if self.format_string is not None and self.text_column:
            raise ValueError(f"{FORMAT_STRING} makes the text; remove it, or text_column")
        if self.text_column is not None and self.text_column == self.summary_column:
            raise ValueError(f"text_column and summary_column must differ; both are {self.text_column!r}")
        if self.summary_column is not None and self.summary_column in (self.format_names or ()):
            raise ValueError(f"{FORMAT_NAMES} has {self.summary_column!r}, the column of the summary")
        return self
