"""Options of translation. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from pydantic import model_validator

from adapt_core.options import option
from adapt_nlp.data.options import FORMAT_NAMES, FORMAT_STRING, TextDataOptions
from adapt_nlp.seq2seq.options import Seq2SeqOptions


class TranslationOptions(Seq2SeqOptions):
    """How sentences become the model's input, what it writes, and how that is measured."""

    max_input_length: int = option(
        128, flat="max_input_length", gt=1, help="Longest input in tokens, its prefix among them; longer ones are cut."
    )
    source_lang: str = option(
        "en",
        flat="source_lang",
        min_length=1,
        help="Language to translate from, as the data and the tokenizer call it (en; en_XX, eng_Latn).",
    )
    target_lang: str = option(
        "ro",
        flat="target_lang",
        min_length=1,
        help="Language to translate into, as the data and the tokenizer call it (ro; ro_RO, ron_Latn).",
    )

    @model_validator(mode="after")
    def _languages_differ(self) -> TranslationOptions:
        if self.source_lang == self.target_lang:
            raise ValueError(f"source_lang and target_lang must differ; both are {self.source_lang!r}")
        return self


class TranslationData(TextDataOptions):
    """The data of translation: a text and its translation in each row."""

    translation_column: str | None = option(
        None,
        min_length=1,
        help="Column that holds texts by their languages ({en: …, ro: …}); by default translation, where it does.",
    )
    source_column: str | None = option(
        None,
        min_length=1,
        help="Column of the text to translate, or its key in translation_column; by default the language, or source.",
    )
    target_column: str | None = option(
        None,
        min_length=1,
        help="Column of the translation, or its key in translation_column; by default the language, or target.",
    )

    @model_validator(mode="after")
    def _columns_differ(self) -> TranslationData:
        if self.format_string is not None and self.source_column:
            raise ValueError(f"{FORMAT_STRING} makes the text; remove it, or source_column")
        if self.source_column is not None and self.source_column == self.target_column:
            raise ValueError(f"source_column and target_column must differ; both are {self.source_column!r}")
        if self.target_column is not None and self.target_column in (self.format_names or ()):
            raise ValueError(f"{FORMAT_NAMES} has {self.target_column!r}, the column of the translation")
        return self
