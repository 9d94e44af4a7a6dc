"""Texts as token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase


class EncodedRows(Dataset[dict[str, Any]]):
    """Token ids of all rows in memory, unpadded.

    Attributes:
        lengths: tokens of each row.
    """

    def __init__(self, features: dict[str, list[Any]], labels: Sequence[int]) -> None:
        self.features = features
        self.labels = labels
        self.lengths = [len(ids) for ids in features["input_ids"]]

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
) -> EncodedRows:
    """Encodes texts or pairs of texts, each cut to the tokenizer's ``model_max_length``."""
    encoded = tokenizer(list(texts), list(pairs) if pairs is not None else None, truncation=True)
    return EncodedRows(dict(encoded), labels)
