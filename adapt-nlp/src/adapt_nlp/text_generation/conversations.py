"""Conversations out of a table, every one of them checked: OpenAI's messages and ShareGPT's, as roles and contents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed, shortened
from adapt_nlp.data.columns import column, columns_there_are
from adapt_nlp.data.table import Table

ROLES: Mapping[str, str] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "function_response": "tool",
    "observation": "tool",
}
"""Who speaks, as OpenAI, ShareGPT and the sets that follow them call it, and as chat templates do."""

Messages = list[dict[str, str]]


def read_conversations(table: Table, name: str, *, answered: bool = True) -> list[Messages]:
    """The conversations of a column, as ``{"role": …, "content": …}`` a turn.

    Args:
        table: the rows.
        name: the column: lists of ``{"role", "content"}`` (OpenAI) or ``{"from", "value"}`` (ShareGPT).
        answered: whether there must be a turn of the assistant to learn from.

    Raises:
        UsageError: there is no such column.
        AdaptError: a conversation is no list or has no turns, or a turn has no role, one that no chat template knows,
            or no text; names the rows.
    """
    values = column(table, name)
    _refuse(
        table,
        name,
        [row for row, value in enumerate(values) if not isinstance(value, (list, tuple))],
        lambda row: f"holds no lists of messages, the first of them {shortened(values[row])}",
        f"Write each conversation as a list of turns, in JSON lines or Parquet. {columns_there_are(table)}",
    )
    _refuse(
        table,
        name,
        [row for row, value in enumerate(values) if not value],
        lambda _: "has conversations without a turn",
        "Remove these rows.",
    )
    found = [[_turn(turn) for turn in value] for value in values]
    _refuse_turns(
        table,
        name,
        found,
        lambda turn: isinstance(turn, str),
        lambda turn: str(turn),
        'A turn is {"role": "user", "content": "…"} (OpenAI), or {"from": "human", "value": "…"} (ShareGPT).',
    )
    _refuse_turns(
        table,
        name,
        found,
        lambda turn: turn["role"] not in ROLES.values(),
        lambda turn: f"a role that no chat template knows, {turn['role']!r}",
        f"The roles are {listed(sorted(ROLES))}.",
    )
    _refuse_turns(
        table,
        name,
        found,
        lambda turn: not turn["content"].strip(),
        lambda turn: f"no text for {turn['role']}",
        "Remove these turns, or the conversations.",
    )
    _refuse_turns(
        table,
        name,
        found,
        lambda turn: any("\ud800" <= letter <= "\udfff" for letter in turn["content"]),
        lambda _: "text that is not valid Unicode (half a surrogate pair)",
        "Write these texts again from their source, or remove the rows.",
    )
    if answered:
        _refuse(
            table,
            name,
            [row for row, turns in enumerate(found) if all(turn["role"] != "assistant" for turn in turns)],
            lambda _: "has conversations without a turn of the assistant: there is nothing to learn from them",
            "Remove these rows.",
        )
    return found


def _turn(turn: Any) -> Any:
    """A turn as role and content, or what is wrong with it in words."""
    if not isinstance(turn, Mapping):
        return f"no message but {shortened(turn)}"
    known = {key: value for key, value in turn.items() if value is not None}  # Arrow fills in what others have
    if known.get("tool_calls") or known.get("function_call"):
        return "a call of a tool, which is not read"
    role, content = known.get("role", known.get("from")), known.get("content", known.get("value"))
    if not isinstance(role, str):
        return f"a message without a role, {shortened(dict(turn))}"
    if isinstance(content, Sequence) and not isinstance(content, str):
        content = _joined(content)
    if not isinstance(content, str):
        return f"a message whose content is no text, {shortened(dict(turn))}"
    return {"role": ROLES.get(role.strip().lower(), role), "content": content}


def _joined(parts: Sequence[Any]) -> str | None:
    """The text of a content in parts; None where a part is none."""
    texts = [part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None for part in parts]
    return "".join(map(str, texts)) if all(isinstance(text, str) for text in texts) else None


def _refuse(table: Table, name: str, rows: Sequence[int], what: Callable[[int], str], hint: str) -> None:
    if rows:
        raise AdaptError(f"{table.source}: column {name!r} {what(rows[0])}, at {table.place(rows)}.", hint)


def _refuse_turns(
    table: Table,
    name: str,
    conversations: Sequence[Sequence[Any]],
    wrong: Callable[[Any], bool],
    what: Callable[[Any], str],
    hint: str,
) -> None:
    """Raises AdaptError for conversations that hold a turn of a kind, and shows the first of these."""
    rows = [row for row, turns in enumerate(conversations) if any(map(wrong, turns))]
    if rows:
        place = next(place for place, turn in enumerate(conversations[rows[0]]) if wrong(turn))
        said = what(conversations[rows[0]][place])
        raise AdaptError(
            f"{table.source}: column {name!r} has {said}: turn {place + 1} at {table.place(rows[:1])}"
            + (f"; such turns are also at {table.place(rows[1:])}." if rows[1:] else "."),
            hint,
        )
