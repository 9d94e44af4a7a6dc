"""Options of text classification."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator, model_validator

from adapt_core.options import Options, is_none, option
from adapt_nlp.data.options import (
    FORMAT_NAMES,
    FORMAT_STRING,
    LabelNames,
    TextDataOptions,
    check_label_names,
    first_repeated,
)


class TextClassificationOptions(Options):
    """How texts become the model's input."""

    max_length: int | None = option(
        None, gt=0, help="Longest text in tokens, longer ones are cut; by default what the model takes, at most 512."
    )
    subtask: Literal["none"] | None = option(
        None,
        flat="subtask",
        help="None for classes of whole texts; ner, pos or chunk make of this task the task token_classification.",
    )

    @field_validator("subtask", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if is_none(value) else value


class TextClassificationData(TextDataOptions):
    """The data of text classification: a text or a pair of texts, and its label, in each row."""

    text_column: str | None = option(
        None, min_length=1, help="Column of the text; by default found by its usual names (text, sentence, review, …)."
    )
    text_pair_column: str | None = option(
        None,
        min_length=1,
        help="Column of the second text of a pair; by default found beside its partner (premise and hypothesis, …).",
    )
    label_column: str | None = option(
        None, min_length=1, help="Column of the label; by default found by its usual names (label, class, target, …)."
    )
    label_names: LabelNames | None = option(
        None,
        path=True,
        help="Names of the labels: a list (label 0 is its first name), a mapping from the label in the data to its "
        "name, or a .json file of either or a .txt file of one name a line.",
    )

    @field_validator("label_names")
    @classmethod
    def _usable_names(cls, value: LabelNames | None) -> LabelNames | None:
        if value is not None and not isinstance(value, str):
            check_label_names(list(value.values()) if isinstance(value, dict) else value)
        return value

    @model_validator(mode="after")
    def _columns_differ(self) -> TextClassificationData:
        if self.format_string is not None and (self.text_column or self.text_pair_column):
            raise ValueError(f"{FORMAT_STRING} makes the text; remove it, or text_column and text_pair_column")
        if self.text_pair_column is not None and self.text_column is None:
            raise ValueError("text_pair_column needs text_column, the first text of the pair")
        repeated = first_repeated((self.text_column, self.text_pair_column, self.label_column))
        if repeated is not None:
            raise ValueError(f"text_column, text_pair_column and label_column must differ; {repeated!r} is given twice")
        if self.label_column is not None and self.label_column in (self.format_names or ()):
            raise ValueError(f"{FORMAT_NAMES} has {self.label_column!r}, the column of the label")
        return self
