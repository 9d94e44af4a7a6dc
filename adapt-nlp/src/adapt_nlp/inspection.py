"""What a language model will see of rows, for ``adapt data``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from transformers import PreTrainedTokenizerBase

from adapt_core.bundles import Section

CUT = "cut off"
"""What tokens behind the limit are marked with."""

Shown = tuple[Sequence[int], Sequence[str | None], str]
"""A row's token ids, the mark of each token or None, and a remark."""


def train_name(info: Mapping[str, Any]) -> str:
    """What the training rows are called that there are before training: of a stream, the first."""
    return f"first {info['streamed']:,} training rows, of a stream" if info.get("streamed") else "training rows"


def token_lengths(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None = None
) -> list[int]:
    """Tokens of every text, or pair of texts, special ones included, before anything is cut."""
    return [len(ids) for ids in whole(tokenizer, texts, pairs)]


def whole(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None = None
) -> Sequence[Sequence[int]]:
    """The token ids of every text, or pair of texts, special ones included, uncut."""
    if not texts:
        return []
    # verbose: that a text is longer than the model takes is what is to be shown, not a warning.
    encoded: Any = tokenizer(
        list(texts), list(pairs) if pairs is not None else None, truncation=False, padding=False, verbose=False
    )
    return list(encoded["input_ids"])


def cut_marks(length: int, limit: int) -> list[str | None]:
    """Marks of a text of so many tokens, of which those behind the limit are cut off."""
    return [CUT if place >= limit else None for place in range(length)]


def as_tokens(split: str, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Shown]) -> list[Section]:
    """The first rows of a split as the tokenizer's own tokens with spaces between them; no section without rows.

    Neighbours with the same mark are one range.
    """
    lines = [_line(tokenizer, *row) for row in rows]
    return [Section(f"First of {split}, as tokens", "spans", (), lines)] if lines else []


def _line(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], marks: Sequence[str | None], remark: str
) -> tuple[str, list[tuple[int, int, str]], str]:
    tokens = [str(token) for token in tokenizer.convert_ids_to_tokens(list(ids))]
    ranges, place = [], 0
    for mark, run in groupby(zip(tokens, marks, strict=True), key=lambda pair: pair[1]):
        size = sum(len(token) + 1 for token, _ in run)
        if mark:
            ranges.append((place, place + size - 1, mark))
        place += size
    return " ".join(tokens), ranges, remark
