"""Conversations out of a table, every one of them checked: OpenAI's messages and ShareGPT's, as roles and contents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed, shortened
from adapt_nlp.data.columns import column, columns_there_are, half_a_pair
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import derived, failing

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


def read_conversations(table: Table, name: str, *, answered: bool = True) -> Sequence[Messages]:
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
    no_list, empty = failing(values, lambda value: not isinstance(value, (list, tuple)), lambda value: not value)
    _refuse(
        table,
        name,
        no_list,
        lambda row: f"holds no lists of messages, the first of them {shortened(values[row])}",
        f"Write each conversation as a list of turns, in JSON lines or Parquet. {columns_there_are(table)}",
    )
    _refuse(table, name, empty, lambda _: "has conversations without a turn", "Remove these rows.")
    found = derived(_turns, values)
    wrong = [rule.wrong for rule in TURN_RULES]
    *bad, silent = failing(
        found,
        *(partial(_any, each) for each in wrong),
        lambda turns: answered and all(turn["role"] != "assistant" for turn in turns),
    )
    for rule, rows in zip(TURN_RULES, bad, strict=True):
        _refuse_turns(table, name, found, rows, rule)
    _refuse(
        table,
        name,
        silent,
        lambda _: "has conversations without a turn of the assistant: there is nothing to learn from them",
        "Remove these rows.",
    )
    return found


@dataclass(frozen=True)
class TurnRule:
    """Something that a turn must not be.

    Attributes:
        wrong: whether a turn is that.
        what: a turn that is, in words.
        hint: what to do about it.
    """

    wrong: Callable[[Any], bool]
    what: Callable[[Any], str]
    hint: str


TURN_RULES = (
    TurnRule(
        lambda turn: isinstance(turn, str),
        str,
        'A turn is {"role": "user", "content": "…"} (OpenAI), or {"from": "human", "value": "…"} (ShareGPT).',
    ),
    TurnRule(
        lambda turn: turn["role"] not in ROLES.values(),
        lambda turn: f"a role that no chat template knows, {turn['role']!r}",
        f"The roles are {listed(sorted(ROLES))}.",
    ),
    TurnRule(
        lambda turn: not turn["content"].strip(),
        lambda turn: f"no text for {turn['role']}",
        "Remove these turns, or the conversations.",
    ),
    TurnRule(
        lambda turn: half_a_pair(turn["content"]),
        lambda _: "text that is not valid Unicode (half a surrogate pair)",
        "Write these texts again from their source, or remove the rows.",
    ),
)
"""In the order in which they are looked for: each takes for granted that those before it are kept."""


def _any(wrong: Callable[[Any], bool], turns: Sequence[Any]) -> bool:
    return any(map(wrong, turns))


def _turns(value: Sequence[Any]) -> list[Any]:
    return [_turn(turn) for turn in value]


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
    table: Table, name: str, conversations: Sequence[Sequence[Any]], rows: Sequence[int], rule: TurnRule
) -> None:
    """Raises AdaptError for conversations that hold a turn of a kind, and shows the first of these."""
    if rows:
        turns = conversations[rows[0]]
        place = next(place for place, turn in enumerate(turns) if rule.wrong(turn))
        raise AdaptError(
            f"{table.source}: column {name!r} has {rule.what(turns[place])}: turn {place + 1} at "
            f"{table.place(rows[:1])}" + (f"; such turns are also at {table.place(rows[1:])}." if rows[1:] else "."),
            rule.hint,
        )
