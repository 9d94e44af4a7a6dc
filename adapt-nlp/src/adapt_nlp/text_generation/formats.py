"""What a row of the data holds, told by its columns: a text, a prompt with its completion, or a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.data.columns import TextColumns, choose, column, columns_there_are, read_strings
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import derived
from adapt_nlp.instructions import alpaca
from adapt_nlp.text_generation.conversations import read_conversations
from adapt_nlp.text_generation.options import Format, TextGenerationData

TEXT_NAMES = ("text", "content", "document", "body", "story", "article", "code", "sentence")
MESSAGES_NAMES = ("messages", "conversations", "conversation")
INSTRUCTION_NAMES = ("instruction",)
INPUT_NAMES = ("input", "context")
OUTPUT_NAMES = ("output", "response", "completion", "answer")
PROMPT_PAIRS = (
    ("prompt", "completion"), ("prompt", "response"), ("prompt", "answer"), ("prompt", "output"),
    ("question", "answer"), ("question", "response"), ("query", "response"), ("query", "answer"),
    ("problem", "solution"), ("inputs", "targets"), ("input", "output"), ("input", "target"), ("source", "target"),
)  # fmt: skip
"""Usual names of columns, in any case: of Alpaca and Dolly, of OpenAI's and ShareGPT's conversations, of GSM8K, ….

Of instructions ``input`` or ``context`` is what they are about. Where a set has columns of several formats, as Alpaca
has a text made of the others, a conversation comes first, then an instruction, a prompt, and a text last."""

Example = Mapping[str, Any]
"""``{"text": …}``, ``{"prompt": …, "completion": …}`` or ``{"messages": [{"role": …, "content": …}, …]}``."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where the parts of a row come from.

    Attributes:
        format: what a row holds.
        text: column of a plain text; None where a format string makes it.
        prompt: column of a prompt or an instruction; None where a format string makes it.
        input: column of what an instruction is about, if there is one.
        completion: column of what is to be generated.
        messages: column of a conversation.
        format_string, format_names: see :class:`adapt_nlp.data.options.TextDataOptions`.
        separator: what stands between prompt and completion.
    """

    format: Format
    text: str | None = None
    prompt: str | None = None
    input: str | None = None
    completion: str | None = None
    messages: str | None = None
    format_string: str | None = None
    format_names: tuple[str, ...] = ()
    separator: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The form kept in ``data.json``, which :meth:`from_dict` reads."""
        return asdict(self) | {"format_names": list(self.format_names)}

    @classmethod
    def from_dict(cls, columns: Mapping[str, Any]) -> Columns:
        """From :meth:`as_dict`."""
        return cls(**{**columns, "format_names": tuple(columns["format_names"])})

    def examples(self, table: Table) -> Sequence[Example]:
        """The rows of a table.

        Raises:
            UsageError: a column is not there.
            AdaptError: a part of a row is missing, empty or of another kind; names the rows.
        """
        if self.format == "chat":
            assert self.messages is not None
            return derived(_conversation, read_conversations(table, self.messages))
        if self.format == "text":
            return derived(_text, self._made(table, self.text))
        assert self.completion is not None
        return derived(_pair_of, self.prompts(table), read_strings(table, self.completion))

    def prompts(self, table: Table) -> Sequence[str]:
        """The prompts of a table's rows; of instructions in Alpaca's words, of others with the separator."""
        if self.format != "instruction":
            return derived(self._separate, self._made(table, self.prompt))
        assert self.prompt is not None
        instructions = read_strings(table, self.prompt)
        inputs = [] if self.input is None else [_optional(table, self.input)]
        return derived(alpaca, instructions, *inputs)

    def _separate(self, prompt: str) -> str:
        return prompt + self.separator

    def _made(self, table: Table, name: str | None) -> Sequence[str]:
        columns = TextColumns(text=name, format_string=self.format_string, format_names=self.format_names)
        return columns.texts(table)[0]


def _conversation(messages: Sequence[Mapping[str, str]]) -> Example:
    return {"messages": messages}


def _text(text: str) -> Example:
    return {"text": text}


def _pair_of(prompt: str, completion: str) -> Example:
    return {"prompt": prompt, "completion": completion}


def find_columns(table: Table, options: TextGenerationData) -> Columns:
    """The columns of a training table: as configured, else by their usual names.

    Raises:
        UsageError: a named column is not there, or no column has a usual name.
        AdaptError: a prompt or completion is missing or empty.
    """
    if options.format_string is not None:
        names = tuple(options.format_names or ())
        for name in names:
            column(table, name, "dataset.format_names (FORMAT_NAMES)")
        if options.completion_column is None:
            return Columns(format="text", format_string=options.format_string, format_names=names)
        column(table, options.completion_column, "dataset.completion_column")
        found = Columns(
            format="prompt_completion",
            completion=options.completion_column,
            format_string=options.format_string,
            format_names=names,
        )
        return _separated(found, table, options)
    kind = options.format or _named_format(options) or _usual_format(table)
    if kind == "chat":
        name = choose(table, options.messages_column, "dataset.messages_column", MESSAGES_NAMES, "a conversation")
        return Columns(format="chat", messages=name)
    if kind == "text":
        name = choose(table, options.text_column, "dataset.text_column (dataset_text_field)", TEXT_NAMES, "the text")
        return Columns(format="text", text=name)
    if kind == "instruction":
        return _instruction(table, options)
    return _separated(_pair(table, options), table, options)


def _named_format(options: TextGenerationData) -> Format | None:
    """The format that named columns mean."""
    if options.messages_column:
        return "chat"
    if options.text_column:
        return "text"
    if options.input_column:
        return "instruction"
    return "prompt_completion" if options.prompt_column or options.completion_column else None


def _usual_format(table: Table) -> Format:
    present = {name.lower() for name in table.columns}
    if present & set(MESSAGES_NAMES):
        return "chat"
    if present & set(INSTRUCTION_NAMES) and present & set(OUTPUT_NAMES):
        return "instruction"
    if any(present >= set(pair) for pair in PROMPT_PAIRS):
        return "prompt_completion"
    if present & set(TEXT_NAMES):
        return "text"
    raise UsageError(
        f"{table.source}: no columns of a text, a prompt and its completion, or a conversation are found by their "
        "usual names.",
        "Name them in dataset.text_column (dataset_text_field), dataset.prompt_column and dataset.completion_column, "
        f"or dataset.messages_column. {columns_there_are(table)}",
    )


def _instruction(table: Table, options: TextGenerationData) -> Columns:
    prompt = choose(table, options.prompt_column, "dataset.prompt_column", INSTRUCTION_NAMES, "the instruction")
    taken = [prompt, *([options.input_column] if options.input_column else [])]
    completion = choose(
        table, options.completion_column, "dataset.completion_column", OUTPUT_NAMES, "the response", taken
    )
    about = options.input_column
    if about is not None:
        column(table, about, "dataset.input_column")
    else:
        about = next((each for name in INPUT_NAMES for each in table.columns if each.lower() == name), None)
        about = None if about in (prompt, completion) else about
    return Columns(format="instruction", prompt=prompt, input=about, completion=completion)


def _pair(table: Table, options: TextGenerationData) -> Columns:
    """The columns of a prompt and its completion, the first of the usual pairs with those that are named."""
    if options.prompt_column is not None:
        column(table, options.prompt_column, "dataset.prompt_column")
    if options.completion_column is not None:
        column(table, options.completion_column, "dataset.completion_column")
    present = {name.lower(): name for name in table.columns}
    pairs: Iterable[tuple[str | None, str | None]] = (
        (options.prompt_column or present.get(one), options.completion_column or present.get(other))
        for one, other in PROMPT_PAIRS
    )
    prompt, completion = next((pair for pair in pairs if all(pair) and pair[0] != pair[1]), (None, None))
    if prompt is None or completion is None:
        raise UsageError(
            f"{table.source}: no columns of a prompt and its completion are found by their usual names.",
            f"Name them in dataset.prompt_column and dataset.completion_column. {columns_there_are(table)}",
        )
    return Columns(format="prompt_completion", prompt=prompt, completion=completion)


def _separated(columns: Columns, table: Table, options: TextGenerationData) -> Columns:
    """The same with what stands between prompt and completion, one thing for all rows: predictions need it too."""
    separator = options.separator
    if separator is None:
        rows = columns.examples(table)
        parted = all(row["prompt"][-1].isspace() or row["completion"][0].isspace() for row in rows)
        separator = "" if parted else "\n"
    return Columns(**{**asdict(columns), "separator": separator})


def _optional(table: Table, name: str) -> Sequence[str | None]:
    """Texts that may be absent."""
    values = column(table, name)
    other = [row for row, value in enumerate(values) if value is not None and not isinstance(value, str)]
    if other:
        raise AdaptError(
            f"{table.source}: column {name!r} holds values that are not text at {table.place(other)}.",
            "Write them as text; where an instruction is about nothing, leave them empty.",
        )
    return values
