"""Options of text generation. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from adapt_core.options import Options, option
from adapt_nlp.data.options import FORMAT_STRING, TextDataOptions, first_repeated

Format = Literal["text", "prompt_completion", "instruction", "chat"]

COLUMNS: dict[Format, tuple[str, ...]] = {
    "text": ("text_column",),
    "prompt_completion": ("prompt_column", "completion_column"),
    "instruction": ("prompt_column", "input_column", "completion_column"),
    "chat": ("messages_column",),
}
"""The options that name the columns of each format."""


class TextGenerationOptions(Options):
    """How texts become the model's input, and what is learnt of them."""

    packing: bool = option(
        True,
        flat="packing",
        help="Put several texts into each training row, kept apart; refused for models that cannot keep them apart.",
    )
    padding_free: bool = option(
        False,
        help="Without packing, lay the texts of a batch end to end instead of padding them; refused where packing is.",
    )
    max_seq_length: int | None = option(
        None,
        flat="max_seq_length",
        gt=1,
        help="Longest training text in tokens, longer ones are cut; by default what the model takes, at most 512.",
    )
    flash_attention2: bool = option(
        False, flat="flash_attention2", help="Train with FlashAttention 2; needs its package, a GPU and 16 bits."
    )
    completion_only: bool = option(
        False, help="Learn the completions, or the assistant's turns, and not the prompts before them."
    )
    samples: int = option(5, ge=0, help="Evaluation rows for which an evaluation generates text, for the report.")
    sample_tokens: int = option(64, gt=0, help="Most tokens of each of these texts.")

    @model_validator(mode="after")
    def _one_way_without_padding(self) -> TextGenerationOptions:
        if self.packing and self.padding_free:
            raise ValueError("packed rows have no padding anyway; remove padding_free, or set packing to false")
        return self


class TextGenerationData(TextDataOptions):
    """The data of text generation: a text, a prompt with its completion, or a conversation in each row."""

    format: Format | None = option(
        None,
        help="What a row holds; by default told by its columns: messages (chat), instruction and output, prompt and "
        "completion (or question and answer, …), else text.",
    )
    text_column: str | None = option(
        None,
        flat="dataset_text_field",
        min_length=1,
        help="Column of the text; by default text, or another usual name.",
    )
    prompt_column: str | None = option(
        None, min_length=1, help="Column of the prompt or instruction; by default found by its usual names."
    )
    input_column: str | None = option(
        None, min_length=1, help="Column of what an instruction is about, empty where it is about nothing."
    )
    completion_column: str | None = option(
        None, min_length=1, help="Column of what is to be generated; by default found beside the prompt's."
    )
    messages_column: str | None = option(
        None, min_length=1, help="Column of the conversation; by default messages or conversations."
    )
    separator: str | None = option(
        None,
        help="What stands between prompt and completion; by default a line break, or nothing where the training data "
        "has white space there.",
    )
    chat_template: str | None = option(
        None, path=True, min_length=1, help="A file with a chat template (Jinja), in place of the tokenizer's own."
    )

    @model_validator(mode="after")
    def _columns_fit(self) -> TextGenerationData:
        named = {name: getattr(self, name) for names in COLUMNS.values() for name in names}
        given = [name for name, value in named.items() if value is not None]
        if self.format_string is not None:
            extra = [name for name in given if name != "completion_column"]
            if extra:
                raise ValueError(f"{FORMAT_STRING} makes the text, or the prompt; remove it, or {extra[0]}")
            if self.format not in (None, "prompt_completion" if self.completion_column else "text"):
                raise ValueError(f"{FORMAT_STRING} makes plain text, or a prompt beside completion_column")
            if self.completion_column in (self.format_names or ()):
                raise ValueError(f"format_names has {self.completion_column!r}, the column of the completion")
        elif self.format is not None:
            foreign = [name for name in given if name not in COLUMNS[self.format]]
            if foreign:
                raise ValueError(f"{foreign[0]} is no column of the format {self.format}; remove one of the two")
        elif not any(set(given) <= set(names) for names in COLUMNS.values()):
            raise ValueError(f"{given[0]} and {given[-1]} belong to different formats; remove one of them")
        repeated = first_repeated(named.values())
        if repeated is not None:
            raise ValueError(f"each column has one meaning; {repeated!r} is given twice")
        if self.separator is not None and (self.text_column or self.messages_column or self.format in ("text", "chat")):
            raise ValueError("separator stands between prompt and completion, of which this format has none")
        return self
