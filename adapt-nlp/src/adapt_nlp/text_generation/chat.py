"""Conversations as tokens, by a tokenizer's chat template, and which of them are the assistant's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase
from trl.chat_template_utils import get_training_chat_template, has_generation_markers

from adapt_core.errors import AdaptError
from adapt_nlp.text_generation.conversations import Messages

NOT_PARTED = (
    "Give the template {{% generation %}} and {{% endgeneration %}} around what the assistant says "
    "(dataset.chat_template names a file), or learn all of it: task.completion_only=false."
)


class Unwritable(Exception):
    """A conversation cannot be written as the template wants it; the message says why."""


def read_template(file: str) -> str:
    """The chat template in a file. Raises AdaptError where it cannot be read."""
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise AdaptError(
            f"dataset.chat_template: {file} cannot be read: {error}", "It is a text file in UTF-8 with Jinja in it."
        ) from error


def require_template(tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """Raises AdaptError where a tokenizer cannot write conversations."""
    if tokenizer.chat_template is None:
        raise AdaptError(
            f"The data are conversations, and the tokenizer of {source} has no chat template to write them with",
            "Name a file with one in dataset.chat_template, or use a model that is made for conversations.",
        )


class ChatWriter:
    """Writes conversations as token ids.

    Which tokens are the assistant's is told by the template's own marks, or by those of TRL's version of it, where it
    is one that TRL knows. A template without marks is asked for the conversation up to each of the assistant's turns
    and up to its end: what lies between is that turn, if both are beginnings of the whole.

    Args:
        tokenizer: with a chat template; a fast one, unless the template has marks.
        completion_only: whether it matters which tokens are the assistant's.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, completion_only: bool) -> None:
        self.tokenizer = tokenizer
        self.completion_only = completion_only
        self.marked = _marked_template(tokenizer) if completion_only else None
        if completion_only and self.marked is None and not tokenizer.is_fast:
            raise AdaptError(
                f"task.completion_only: {type(tokenizer).__name__} does not know where its tokens stand in a text, and "
                "its chat template does not mark what the assistant says",
                NOT_PARTED,
            )

    def __call__(self, messages: Messages) -> tuple[list[int], list[bool]]:
        """Token ids, and which of them are learnt.

        Raises:
            Unwritable: the template refuses the conversation, or does not part the turns of it.
        """
        if not self.completion_only:
            ids = _ids(self.tokenizer, messages)
            return ids, [True] * len(ids)
        if self.marked is not None:
            encoded = _applied(
                self.tokenizer,
                messages,
                chat_template=self.marked,
                tokenize=True,
                return_dict=True,
                return_assistant_tokens_mask=True,
            )
            return list(encoded["input_ids"]), list(map(bool, encoded["assistant_masks"]))
        text = _applied(self.tokenizer, messages, tokenize=False)
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = self._spans(messages, text)
        learnt = [any(start <= begin < end for start, end in spans) for begin, _ in encoded["offset_mapping"]]
        return list(encoded["input_ids"]), learnt

    def _spans(self, messages: Messages, text: str) -> list[tuple[int, int]]:
        """Where the assistant's turns stand in the written conversation, in characters."""
        spans = []
        for turn, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = _applied(self.tokenizer, messages[:turn], tokenize=False, add_generation_prompt=True)
            whole = _applied(self.tokenizer, messages[: turn + 1], tokenize=False)
            if not (text.startswith(before) and text.startswith(whole) and len(before) < len(whole)):
                raise Unwritable(
                    f"the chat template writes turn {turn + 1} in another way when others follow, so that nobody can "
                    "tell which tokens are the assistant's"
                )
            spans.append((len(before), len(whole)))
        return spans


def prompt_ids(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> list[int]:
    """A conversation as token ids up to where the assistant is to speak. Raises :class:`Unwritable`."""
    return _ids(tokenizer, messages, add_generation_prompt=True)


def _ids(tokenizer: PreTrainedTokenizerBase, messages: Messages, **keywords: Any) -> list[int]:
    return list(_applied(tokenizer, messages, tokenize=True, return_dict=True, **keywords)["input_ids"])


def _applied(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Any], **keywords: Any) -> Any:
    try:
        return tokenizer.apply_chat_template(list(messages), **keywords)
    except TemplateError as error:  # raise_exception of the template among others
        raise Unwritable(f"the chat template refuses it: {error}") from error


def _marked_template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """A chat template that marks what the assistant says, the tokenizer's own or TRL's of it; None without one."""
    own: Any = tokenizer.chat_template
    own = own["default"] if isinstance(own, dict) else own
    if has_generation_markers(own):
        return str(own)
    try:
        return get_training_chat_template(tokenizer)
    except (ValueError, TemplateError):  # TRL does not know it
        return None
