"""Texts as token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase


class EncodedRows(Dataset[dict[str, Any]]):
    """Token ids of all rows in memory, unpadded: four bytes a token in the tokenizer's lists.

    Attributes:
        lengths: tokens of each row.
        cut: how many rows were longer than the limit.
    """

    def __init__(self, features: dict[str, list[Any]], labels: Sequence[int], limit: int) -> None:
        self.features = features
        self.labels = labels
        self.lengths = [len(ids) for ids in features["input_ids"]]
        self.limit = limit

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = {name: values[index] for name, values in self.features.items()}
        return {**row, "labels": self.labels[index]}


def encode(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    labels: Sequence[int],
    limit: int,
) -> EncodedRows:
    """Encodes texts or pairs of texts, each cut to ``limit`` tokens."""
    encoded = tokenizer(list(texts), list(pairs) if pairs is not None else None, truncation=True, max_length=limit)
    return EncodedRows(dict(encoded), labels, limit)
