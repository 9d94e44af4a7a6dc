"""Examples as token ids and labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from datasets import Value
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from adapt_core.errors import AdaptError
from adapt_nlp.data.preprocessing import Encoded, Preprocessing, tokenizer_key
from adapt_nlp.data.splits import fingerprint
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import pick, sizes
from adapt_nlp.text_generation import chat
from adapt_nlp.text_generation.formats import Example
from adapt_nlp.tokenizer import require_known_tokens

IGNORED = -100
"""The label of a token that the loss leaves out."""

Tokens = tuple[list[int], list[bool]]


@dataclass(frozen=True)
class EncodedTexts(Dataset[dict[str, Any]]):
    """Token ids and labels of rows, unpadded; a map-style data set.

    Attributes:
        input_ids: of each row.
        labels: the same ids, or -100 for a token that is not learnt.
        whole: tokens of each row before it was cut.
        given: the same of every example, those that are left out too.
        numbers: which of the given examples each row is; those without a token to learn are left out.
        left_out: the examples without a token to learn, by their numbers.
        kept: all examples in the cache; None of rows in memory.
    """

    input_ids: Sequence[list[int]]
    labels: Sequence[list[int]]
    whole: Sequence[int]
    given: Sequence[int]
    numbers: Sequence[int]
    left_out: Sequence[int]
    kept: Encoded | None = None

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each row."""
        found: Sequence[int] = sizes(self.input_ids)
        return found

    @property
    def cut(self) -> int:
        """How many rows were longer than they are."""
        return sum(whole > length for whole, length in zip(self.whole, self.lengths, strict=True))

    @property
    def learnt(self) -> int:
        """How many tokens are learnt; the first of a row is predicted from nothing, and so is not."""
        if self.kept is not None:
            return sum(self.kept.columns["learnt"])
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
    """Encodes a few examples, in memory, each cut to ``limit`` tokens.

    Texts and completions end with the tokenizer's end token.

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
    given = columns(tokenizer, examples, limit, completion_only, place, source, 0, len(examples))
    return _learnt(given, limit, completion_only, place, source)


def encode_rows(
    tokenizer: PreTrainedTokenizerBase,
    preprocessing: Preprocessing,
    what: str,
    examples: Sequence[Example],
    limit: int,
    *,
    completion_only: bool,
    place: Callable[[Sequence[int]], str],
    source: str,
) -> EncodedTexts:
    """The same of all rows of a split, which are called ``what``, through the cache."""
    make = partial(columns, tokenizer, examples, limit, completion_only, place, source)
    made_of = (fingerprint(examples), tokenizer_key(tokenizer), limit, completion_only)
    encoded = preprocessing.encoded(what, len(examples), make, COUNTS, *made_of)
    return _learnt(encoded.columns, limit, completion_only, place, source, encoded)


def streamed(
    tokenizer: PreTrainedTokenizerBase, module: Any, limit: int, completion_only: bool, texts: Any
) -> EncodedTexts | None:
    """The same of some rows of a stream, in memory; None where none of them has a token to learn.

    Raises:
        AdaptError: the chat template refuses a conversation, or there is a token that the model does not know.
    """
    source = texts.table.source
    given = columns(tokenizer, texts.examples, limit, completion_only, texts.place, source, 0, len(texts))
    if not any(given["learnt"]):
        return None
    made = _learnt(given, limit, completion_only, texts.place, source)
    require_known_tokens(tokenizer, module, made.input_ids, (str(texts[number]) for number in made.numbers))
    return made


COUNTS = {"whole": Value("int32"), "learnt": Value("int32")}
"""The columns of how many tokens an example has before it is cut, and how many of those left are learnt."""


def columns(
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    limit: int,
    completion_only: bool,
    place: Callable[[Sequence[int]], str],
    source: str,
    start: int,
    stop: int,
) -> dict[str, list[Any]]:
    """Examples that follow one another as token ids and labels, cut, and :data:`COUNTS`."""
    rows = _encoded(
        tokenizer, examples[start:stop], completion_only, lambda own: place([start + row for row in own]), source
    )
    labels = [
        [token if learn else IGNORED for token, learn in zip(ids[:limit], learnt[:limit], strict=True)]
        for ids, learnt in rows
    ]
    return {
        "input_ids": [ids[:limit] for ids, _ in rows],
        "labels": labels,
        "whole": [len(ids) for ids, _ in rows],
        "learnt": [sum(learnt[1:limit]) for _, learnt in rows],
    }


def _learnt(
    given: Mapping[str, Sequence[Any]],
    limit: int,
    completion_only: bool,
    place: Callable[[Sequence[int]], str],
    source: str,
    encoded: Encoded | None = None,
) -> EncodedTexts:
    """Those of the given examples that have a token to learn."""
    whole, learnt = given["whole"], given["learnt"]
    left_out = [row for row, count in enumerate(learnt) if not count]
    if len(left_out) == len(whole):
        raise AdaptError(
            f"{source}: no row has a token to learn within its first {limit} tokens ({len(whole)} rows, the longest of "
            f"{max(whole, default=0)} tokens; at {place(left_out)})",
            "Give a larger task.max_seq_length"
            + (", or learn the prompts too: task.completion_only=false." if completion_only else ", or longer texts."),
        )
    if not left_out:
        numbers = range(len(whole))
        return EncodedTexts(given["input_ids"], given["labels"], whole, whole, numbers, left_out, encoded)
    kept = np.delete(np.arange(len(whole)), left_out).tolist()
    ids, labels, own = (pick(given[name], kept) for name in ("input_ids", "labels", "whole"))
    return EncodedTexts(ids, labels, own, whole, kept, left_out, encoded)


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
) -> list[Tokens]:
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
