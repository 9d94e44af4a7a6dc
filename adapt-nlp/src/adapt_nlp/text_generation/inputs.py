"""What to go on from: prompts or conversations from the command line, or the rows of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.data.columns import columns_there_are, read_strings
from adapt_nlp.data.files import file_format, read_file
from adapt_nlp.data.table import Table
from adapt_nlp.instructions import alpaca
from adapt_nlp.text_generation.conversations import Messages, read_conversations
from adapt_nlp.text_generation.formats import Columns

PROMPT_NAMES = ("prompt", "text")
"""Columns that a file of prompts may have instead of the run's own."""


def read_inputs(texts: Sequence[str], file: Path | None, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows to go on from: first the texts, then the file's rows.

    Args:
        texts: each a prompt or an instruction; for conversations what the user says first, or a JSON list of messages.
        file: with the columns that the run was trained on, those of completions not needed, or with ``prompt`` or
            ``text``; ``.txt`` has one prompt a line. A conversation is gone on with from its last turn, which an
            assistant's turn is taken away from.
        columns: ``columns`` of the run's ``data.json``.

    Returns:
        ``{"prompt": …}``, as the model reads it, or ``{"messages": […]}``, and ``columns`` with everything that the
        row held where it came from a file.

    Raises:
        UsageError: there is nothing to go on from, or a column is missing.
        AdaptError: a row is empty or malformed; says which.
    """
    wanted = Columns.from_dict(columns)
    rows: list[dict[str, Any]] = []
    if texts:
        rows += [_argument(number, text, wanted) for number, text in enumerate(texts, start=1)]
    if file is not None:
        table = read_file(file)
        if not len(table):
            raise AdaptError(f"{file} has no rows.", "Check that it was written completely.")
        held = {name: table.columns[name] for name in table.columns}
        for position, row in enumerate(_rows(table, wanted)):
            own = {name: values[position] for name, values in held.items()}
            rows.append(row | {"columns": json.loads(json.dumps(own, default=str))})
    if not rows:
        raise UsageError("There is nothing to go on from.", 'Give prompts ("…") or a file (--input FILE).')
    return rows


def _argument(number: int, text: str, wanted: Columns) -> dict[str, Any]:
    table = Table("The command line", {"text": [text]}, 1, [number])
    if wanted.format != "chat":
        (prompt,) = read_strings(table, "text")
        return {"prompt": alpaca(prompt) if wanted.format == "instruction" else prompt + wanted.separator}
    try:
        messages = json.loads(text) if text.lstrip().startswith("[") else None
    except (ValueError, RecursionError):  # a text that begins with a bracket
        messages = None
    if isinstance(messages, list):
        listed = Table("The command line", {"messages": [messages]}, 1, [number])
        return {"messages": unanswered(read_conversations(listed, "messages", answered=False)[0])}
    return {"messages": [{"role": "user", "content": read_strings(table, "text")[0]}]}


def _rows(table: Table, wanted: Columns) -> list[dict[str, Any]]:
    if wanted.format == "chat":
        name = str(wanted.messages)
        if name in table.columns:
            read = read_conversations(table, name, answered=False)
            return [{"messages": unanswered(messages)} for messages in read]
        said = read_strings(table, _plain_column(table, [name]))
        return [{"messages": [{"role": "user", "content": text}]} for text in said]
    if wanted.format != "text":
        needed = wanted.format_names if wanted.format_string is not None else (str(wanted.prompt),)
        if all(name in table.columns for name in needed):
            if wanted.input is not None and wanted.input not in table.columns:
                table = Table(
                    table.source, {**table.columns, wanted.input: [None] * len(table)}, len(table), table.lines
                )
            return [{"prompt": prompt} for prompt in wanted.prompts(table)]
        prompts = read_strings(table, _plain_column(table, needed))
        if wanted.format == "instruction":
            return [{"prompt": alpaca(prompt)} for prompt in prompts]
        return [{"prompt": prompt + wanted.separator} for prompt in prompts]
    own = [wanted.text] if wanted.text is not None else []
    return [{"prompt": text} for text in read_strings(table, _plain_column(table, own))]


def _plain_column(table: Table, own: Sequence[str]) -> str:
    """The run's column or one of prompts."""
    for name in (*own, *PROMPT_NAMES):
        if name in table.columns:
            return name
    raise UsageError(
        f"{table.source} has neither the column{'s' * (len(own) > 1)} {' and '.join(own)} that this model was trained "
        f"on, nor one named {' or '.join(PROMPT_NAMES)}."
        if own
        else f"{table.source} has no column named {' or '.join(PROMPT_NAMES)}.",
        columns_there_are(table) if file_format(Path(table.source)) != ".txt" else "",
    )


def unanswered(messages: Messages) -> Messages:
    """A conversation up to where the assistant is to speak: without its last turn, where that is the assistant's."""
    return messages[:-1] if messages[-1]["role"] == "assistant" else messages
