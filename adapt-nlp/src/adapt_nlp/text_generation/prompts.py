"""What a model is given to go on from, and what it should go on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from adapt_core.errors import AdaptError
from adapt_core.models.positions import usable_positions
from adapt_nlp.text_generation import chat
from adapt_nlp.text_generation.encoding import text_ids
from adapt_nlp.text_generation.formats import Example


def prompt_of(example: Example) -> tuple[dict[str, Any], str]:
    """A row to go on from, ``{"prompt": …}`` or ``{"messages": […]}``, and the reference.

    Of a plain text that is its first half, up to the end of a word; of a conversation all before the assistant's last
    turn, or all of it where nothing stands before (see :func:`is_answer`).
    """
    if "text" in example:
        text = example["text"]
        half = text.rfind(" ", 1, len(text) // 2 + 1)
        cut = half if half > 0 and text[:half].strip() else (len(text) + 1) // 2
        return {"prompt": text[:cut]}, text[cut:]
    if "prompt" in example:
        return {"prompt": example["prompt"]}, example["completion"]
    messages = example["messages"]
    last = max(turn for turn, message in enumerate(messages) if message["role"] == "assistant")
    return {"messages": messages[:last] or messages}, messages[last]["content"]


def is_answer(example: Example) -> bool:
    """Whether something stands before what is to be generated: not so where the assistant alone speaks, and first."""
    return "messages" not in example or any(message["role"] == "assistant" for message in example["messages"][1:])


def shown(row: Mapping[str, Any]) -> str:
    """A row to go on from, for a person."""
    if "prompt" in row:
        return str(row["prompt"])
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in row["messages"])


def encoded_prompts(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Token ids of rows to go on from.

    Raises:
        AdaptError: the chat template refuses a conversation, or the tokenizer makes no token of a row; says which.
    """
    ids = []
    for number, row in enumerate(rows, start=1):
        try:
            own = text_ids(tokenizer, [row["prompt"]])[0] if "prompt" in row else _conversation(tokenizer, row)
        except chat.Unwritable as error:
            raise AdaptError(f"Row {number}: {error}", "Correct the conversation.") from error
        if not own:
            raise AdaptError(f"Row {number}: the tokenizer makes no token of {shown(row)!r}", "Remove the row.")
        ids.append(own)
    return ids


def _conversation(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any]) -> list[int]:
    return chat.prompt_ids(tokenizer, row["messages"])


def require_room(module: Any, prompts: Sequence[Sequence[int]], new: int) -> None:
    """Raises AdaptError for a prompt behind which a model has no positions left."""
    positions = usable_positions(module)
    if positions is None:
        return
    for number, ids in enumerate(prompts, start=1):
        if len(ids) + new > positions:
            raise AdaptError(
                f"Row {number} has {len(ids)} tokens, and up to {new} are to be generated; "
                f"{type(module).__name__} has {positions} positions",
                "Shorten the row, or give a smaller max_new_tokens.",
            )
