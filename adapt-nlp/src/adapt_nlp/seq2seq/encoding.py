"""Texts and targets as token ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from datasets import Value
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from adapt_core.errors import AdaptError
from adapt_nlp.data.preprocessing import Preprocessing, tokenizer_key
from adapt_nlp.data.splits import fingerprint
from adapt_nlp.data.views import sizes
from adapt_nlp.tokenizer import require_known_tokens


@dataclass(frozen=True)
class EncodedPairs(Dataset[dict[str, Any]]):
    """Token ids of rows, unpadded; a map-style data set.

    Attributes:
        input_ids: of each text.
        labels: of each target.
        whole_inputs, whole_targets: how many tokens they had before they were cut.
    """

    input_ids: Sequence[list[int]]
    labels: Sequence[list[int]]
    whole_inputs: Sequence[int]
    whole_targets: Sequence[int]

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each text."""
        found: Sequence[int] = sizes(self.input_ids)
        return found

    @property
    def cut_inputs(self) -> int:
        """How many texts were longer than they are."""
        return _longer(self.whole_inputs, self.input_ids)

    @property
    def cut_targets(self) -> int:
        """How many targets were longer than they are."""
        return _longer(self.whole_targets, self.labels)

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """``{"input_ids": […], "labels": […]}``."""
        return {"input_ids": self.input_ids[row], "labels": self.labels[row]}


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase,
    preprocessing: Preprocessing,
    what: str,
    texts: Sequence[str],
    targets: Sequence[str],
    *,
    before: str,
    longest_input: int,
    longest_target: int,
    place: Callable[[Sequence[int]], str],
    source: str,
) -> EncodedPairs:
    """Encodes texts and targets, with what the tokenizer adds to each of them, through the cache.

    Args:
        tokenizer: which knows its languages.
        preprocessing: with the cache.
        what: what the rows are called, for a person.
        texts: one a row.
        targets: of the same rows.
        before: what stands before each text.
        longest_input: the most tokens of a text, what stands before it and what the tokenizer adds among them.
        longest_target: the most tokens of a target.
        place: says where rows stand in the data, by their numbers.
        source: what the data are called.

    Raises:
        AdaptError: the tokenizer makes nothing of a text or a target, or the lengths have no room for any token.
    """
    make = partial(columns, tokenizer, texts, targets, before, longest_input, longest_target)
    made_of = (fingerprint(texts, targets), tokenizer_key(tokenizer), before, longest_input, longest_target)
    given = preprocessing.encoded(what, len(texts), make, COUNTS, *made_of).columns
    return _whole(tokenizer, given, before, place, source)


def _whole(
    tokenizer: PreTrainedTokenizerBase,
    given: Mapping[str, Sequence[Any]],
    before: str,
    place: Callable[[Sequence[int]], str],
    source: str,
) -> EncodedPairs:
    """Encoded rows of which none is empty."""
    for part, name, bare in (
        ("text", "input_ids", _added(tokenizer, before, target=False)),
        ("target", "labels", _added(tokenizer, "", target=True)),
    ):
        empty = [row for row, length in enumerate(sizes(given[name])) if length <= bare]
        if empty:
            raise AdaptError(
                f"{source}: the tokenizer makes no token of the {part} at {place(empty)}.",
                "Remove these rows: they hold nothing but characters that it drops.",
            )
    return EncodedPairs(given["input_ids"], given["labels"], given["whole_inputs"], given["whole_targets"])


def streamed(
    tokenizer: PreTrainedTokenizerBase, module: Any, before: str, longest_input: int, longest_target: int, pairs: Any
) -> Iterator[dict[str, Any]]:
    """The same of some rows of a stream, in memory.

    Raises:
        AdaptError: a row has no tokens, or one that the model does not know.
    """
    texts, targets = pairs.texts, pairs.targets
    given = columns(tokenizer, texts, targets, before, longest_input, longest_target, 0, len(texts))
    made = _whole(tokenizer, given, before, pairs.place, pairs.table.source)
    require_known_tokens(tokenizer, module, made.input_ids, texts)
    require_known_tokens(tokenizer, module, made.labels, targets)
    return (made[row] for row in range(len(made)))


COUNTS = {"whole_inputs": Value("int32"), "whole_targets": Value("int32")}


def columns(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    targets: Sequence[str],
    before: str,
    longest_input: int,
    longest_target: int,
    start: int,
    stop: int,
) -> dict[str, list[Any]]:
    """Rows that follow one another as token ids, cut, and how many there were before that."""
    read = [before + text for text in texts[start:stop]]
    inputs, whole_inputs = encode_texts(tokenizer, read, longest_input, before=before)
    labels, whole_targets = encode_texts(tokenizer, targets[start:stop], longest_target, target=True)
    return {"input_ids": inputs, "labels": labels, "whole_inputs": whole_inputs, "whole_targets": whole_targets}


def encode_texts(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], longest: int, *, target: bool = False, before: str = ""
) -> tuple[list[list[int]], list[int]]:
    """Token ids of texts, each cut to a length and ended as the tokenizer ends it, and how many there were.

    Args:
        tokenizer: which knows its languages.
        texts: with what stands before them.
        longest: the most tokens of each.
        target: whether they are what is to be written, which tokenizers with languages mark otherwise.
        before: what stands before each.

    Raises:
        AdaptError: what stands before a text, and what the tokenizer adds, leave no room for a token.
    """
    added = _added(tokenizer, before, target=target)
    if longest <= added:
        key = "max_target_length" if target else "max_input_length"
        beside = f"the prefix {before!r} and " if before else ""
        raise AdaptError(
            f"task.{key} ({key}): {longest} tokens have no room beside the {added} of {beside}what the tokenizer adds",
            f"Give more than {added}.",
        )
    ids = _ids(tokenizer, texts, target)
    long = [row for row, own in enumerate(ids) if len(own) > longest]
    lengths = [len(own) for own in ids]
    cut = _ids(tokenizer, [texts[row] for row in long], target, longest)
    for row, own in zip(long, cut, strict=True):
        ids[row] = own
    return ids, lengths


def _ids(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], target: bool, longest: int | None = None
) -> list[list[int]]:
    if not texts:
        return []
    given: Any = {"text_target" if target else "text": list(texts)}
    # verbose: that a text is longer than the model takes is counted here, and told in Adapt's words.
    encoded = tokenizer(**given, truncation=longest is not None, max_length=longest, verbose=False)
    return [list(ids) for ids in encoded["input_ids"]]


def _added(tokenizer: PreTrainedTokenizerBase, before: str, *, target: bool) -> int:
    """Tokens of a row without text."""
    return len(_ids(tokenizer, [before], target)[0])


def _longer(whole: Sequence[int], ids: Sequence[Sequence[int]]) -> int:
    return sum(length > own for length, own in zip(whole, sizes(ids), strict=True))
