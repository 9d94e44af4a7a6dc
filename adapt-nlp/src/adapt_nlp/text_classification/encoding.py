"""Texts as token ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from adapt_nlp.data.preprocessing import Preprocessing, tokenizer_key
from adapt_nlp.data.splits import fingerprint
from adapt_nlp.data.views import sizes
from adapt_nlp.text_classification.data import LabelledTexts
from adapt_nlp.tokenizer import require_known_tokens


class EncodedRows(Dataset[dict[str, Any]]):
    """Token ids of rows, unpadded.

    Attributes:
        lengths: tokens of each row.
    """

    def __init__(self, features: Mapping[str, Sequence[Any]], labels: Sequence[int]) -> None:
        self.features = features
        self.labels = labels
        self.lengths = sizes(features["input_ids"])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = {name: values[index] for name, values in self.features.items()}
        return {**row, "labels": self.labels[index]}


def encode(
    tokenizer: PreTrainedTokenizerBase, rows: LabelledTexts, preprocessing: Preprocessing, what: str
) -> EncodedRows:
    """Encodes texts or pairs of texts, each cut to the tokenizer's ``model_max_length``."""
    made_of = (fingerprint(rows.texts, rows.pairs), tokenizer_key(tokenizer))
    columns = preprocessing.encoded(what, len(rows), partial(features, tokenizer, rows), {}, *made_of).columns
    return EncodedRows(columns, rows.labels)


def streamed(tokenizer: PreTrainedTokenizerBase, module: Any, rows: LabelledTexts) -> Iterator[dict[str, Any]]:
    """The same of some rows of a stream, in memory. Raises AdaptError for a token that the model does not know."""
    made = EncodedRows(features(tokenizer, rows, 0, len(rows)), rows.labels)
    require_known_tokens(tokenizer, module, made.features["input_ids"], rows.texts)
    return (made[row] for row in range(len(made)))


def features(tokenizer: PreTrainedTokenizerBase, rows: LabelledTexts, start: int, stop: int) -> dict[str, Any]:
    """What the model takes of rows that follow one another, by name."""
    pairs = rows.pairs[start:stop] if rows.pairs is not None else None
    return dict(tokenizer(list(rows.texts[start:stop]), pairs, truncation=True))
