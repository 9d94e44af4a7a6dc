"""Texts and targets as token ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset

from adapt_core.errors import AdaptError

Encode = Callable[[Sequence[str], int | None], list[list[int]]]
"""Token ids of texts with what stands around each, whole, or cut to a length."""


@dataclass(frozen=True)
class EncodedPairs(Dataset[dict[str, Any]]):
    """Token ids of all rows in memory, unpadded; a map-style data set.

    Attributes:
        input_ids: of each text.
        labels: of each target.
        whole_inputs, whole_targets: how many tokens they had before they were cut.
    """

    input_ids: list[list[int]]
    labels: list[list[int]]
    whole_inputs: list[int]
    whole_targets: list[int]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text."""
        return [len(ids) for ids in self.input_ids]

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
    inputs: Encode,
    targets: Encode,
    texts: Sequence[str],
    written: Sequence[str],
    *,
    longest_input: int,
    longest_target: int,
    around: str,
    place: Callable[[Sequence[int]], str],
    source: str,
) -> EncodedPairs:
    """Encodes texts and targets, with what stands around each of them.

    Args:
        inputs: encodes texts.
        targets: encodes targets.
        texts: one a row.
        written: the targets of the same rows.
        longest_input: the most tokens of a text, what stands around it among them.
        longest_target: the most tokens of a target.
        around: what stands around each text, for messages.
        place: says where rows stand in the data, by their numbers.
        source: what the data are called.

    Raises:
        AdaptError: the tokenizer makes nothing of a text or a target, or the lengths have no room for any token.
    """
    ids, whole_inputs = encode_texts(inputs, texts, longest_input, "max_input_length", around)
    labels, whole_targets = encode_texts(targets, written, longest_target, "max_target_length")
    for what, found, bare in (("text", ids, added(inputs)), ("target", labels, added(targets))):
        empty = [row for row, own in enumerate(found) if len(own) <= bare]
        if empty:
            raise AdaptError(
                f"{source}: the tokenizer makes no token of the {what} at {place(empty)}.",
                "Remove these rows: they hold nothing but characters that it drops.",
            )
    return EncodedPairs(ids, labels, whole_inputs, whole_targets)


def encode_texts(
    encode: Encode, texts: Sequence[str], longest: int, key: str, around: str = ""
) -> tuple[list[list[int]], list[int]]:
    """Token ids of texts, each cut to a length, and how many there were.

    Args:
        encode: encodes them.
        texts: one a row.
        longest: the most tokens of each.
        key: the option that says so, for messages.
        around: what stands around each, for messages.

    Raises:
        AdaptError: what stands around a text leaves no room for a token of it.
    """
    taken = added(encode)
    if longest <= taken:
        beside = f"{around} and " if around else ""
        raise AdaptError(
            f"task.{key} ({key}): {longest} tokens have no room beside the {taken} of {beside}what the tokenizer adds",
            f"Give more than {taken}.",
        )
    ids = encode(texts, None)
    long = [row for row, own in enumerate(ids) if len(own) > longest]
    lengths = [len(own) for own in ids]
    cut = encode([texts[row] for row in long], longest)
    for row, own in zip(long, cut, strict=True):
        ids[row] = own
    return ids, lengths


def added(encode: Encode) -> int:
    """Tokens of a row without text."""
    return len(encode([""], None)[0])


def _longer(whole: Sequence[int], ids: Sequence[Sequence[int]]) -> int:
    return sum(length > len(own) for length, own in zip(whole, ids, strict=True))
