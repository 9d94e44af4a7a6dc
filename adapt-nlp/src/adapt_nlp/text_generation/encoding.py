"""Examples as token ids and labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from adapt_core.errors import AdaptError
from adapt_nlp.data.table import Table
from adapt_nlp.text_generation import chat
from adapt_nlp.text_generation.formats import Example

IGNORED = -100
"""The label of a token that the loss leaves out."""

Encoded = tuple[list[int], list[bool]]


@dataclass(frozen=True)
class EncodedTexts(Dataset[dict[str, Any]]):
    """Token ids and labels of all rows in memory, unpadded; a map-style data set.

    Attributes:
        input_ids: of each row.
        labels: the same ids, or -100 for a token that is not learnt.
        whole: tokens of each row before it was cut.
        given: the same of every example, those that are left out too.
        numbers: which of the given examples each row is; those without a token to learn are left out.
        left_out: the examples without a token to learn, by their numbers.
    """

    input_ids: list[list[int]]
    labels: list[list[int]]
    whole: list[int]
    given: list[int]
    numbers: list[int]
    left_out: list[int]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [len(ids) for ids in self.input_ids]

    @property
    def cut(self) -> int:
        """How many rows were longer than they are."""
        return sum(whole > len(ids) for whole, ids in zip(self.whole, self.input_ids, strict=True))

    @property
    def learnt(self) -> int:
        """How many tokens are learnt; the first of a row is predicted from nothing, and so is not."""
        return sum(label != IGNORED for labels in self.labels for label in labels[1:])

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """``{"input_ids": […], "labels": […]}``."""
        return {"input_ids": self.input_ids[row], "labels": self.labels[row]}


def encode(
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    limit: int,
    *,
    completion_only: bool,
    place: Callable[[Sequence[int]], str],
    source: str,
) -> EncodedTexts:
    """Encodes examples, each cut to ``limit`` tokens. Texts and completions end with the tokenizer's end token.

    A prompt and its completion are encoded each by itself, since a model that is given the prompt has seen no more of
    it than that.

    Args:
        tokenizer: with a chat template, where there are conversations.
        examples: all of one format.
        limit: the most tokens of a row.
        completion_only: learn completions and the assistant's turns alone.
        place: says where examples stand in the data, by their numbers.
        source: what the data are called.

    Raises:
        AdaptError: the chat template refuses a conversation, or no row has a token to learn.
    """
    rows = _encoded(tokenizer, examples, completion_only, place, source)
    kept: list[int] = []
    left_out: list[int] = []
    for number, (_, learnt) in enumerate(rows):
        (kept if any(learnt[1:limit]) else left_out).append(number)
    if not kept:
        raise AdaptError(
            f"{source}: no row has a token to learn within its first {limit} tokens ({len(rows)} rows, the longest of "
            f"{max((len(ids) for ids, _ in rows), default=0)} tokens; at {place(left_out)})",
            "Give a larger task.max_seq_length"
            + (", or learn the prompts too: task.completion_only=false." if completion_only else ", or longer texts."),
        )
    return EncodedTexts(
        [rows[number][0][:limit] for number in kept],
        [[token if learn else IGNORED for token, learn in zip(*rows[number], strict=True)][:limit] for number in kept],
        [len(rows[number][0]) for number in kept],
        [len(ids) for ids, _ in rows],
        kept,
        left_out,
    )


def text_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Texts as the beginnings of what a model goes on with: with what the tokenizer puts before them, not behind."""
    encoded = [list(ids) for ids in tokenizer(list(texts))["input_ids"]] if texts else []
    end = tokenizer.eos_token_id
    return [ids[:-1] if len(ids) > 1 and ids[-1] == end else ids for ids in encoded]


def _encoded(
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    completion_only: bool,
    place: Callable[[Sequence[int]], str],
    source: str,
) -> list[Encoded]:
    if "messages" in examples[0]:
        write = chat.ChatWriter(tokenizer, completion_only)
        rows = []
        for number, example in enumerate(examples):
            try:
                rows.append(write(example["messages"]))
            except chat.Unwritable as error:
                raise AdaptError(
                    f"{source}: the conversation at {place([number])} cannot be written: {error}",
                    "Correct or remove the row, or give another template in dataset.chat_template"
                    + (", or learn all of it: task.completion_only=false." if completion_only else "."),
                ) from error
        return rows
    end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    if "text" in examples[0]:
        return [(ids + end, [True] * (len(ids) + len(end))) for ids in text_ids(tokenizer, _of(examples, "text"))]
    prompts = text_ids(tokenizer, _of(examples, "prompt"))
    completions = tokenizer(_of(examples, "completion"), add_special_tokens=False)["input_ids"]
    return [
        (prompt + completion + end, [not completion_only] * len(prompt) + [True] * (len(completion) + len(end)))
        for prompt, completion in zip(prompts, completions, strict=True)
    ]


def _of(examples: Sequence[Example], key: str) -> list[str]:
    return [example[key] for example in examples]


def places(table: Table, numbers: Sequence[int]) -> Callable[[Sequence[int]], str]:
    """Says where examples stand in a table, of which they are these rows."""
    return lambda chosen: table.place([numbers[each] for each in chosen])
