"""Long texts as overlapping windows of tokens, and the way back from tokens to places in the text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from adapt_core.errors import AdaptError


@dataclass(frozen=True)
class Windows:
    """Texts, or pairs of them, in windows of tokens; a short text is one window.

    Attributes:
        features: what the model takes, by name: a list of ids a window, unpadded.
        rows: the text of each window, by its number; ascending.
        offsets: for each token of a window where it stands in its text, ``(start, end)`` in characters; an empty range
            for tokens that the tokenizer adds.
        parts: for each token of a window which text of a pair it is of, 0 or 1; None for tokens that the tokenizer
            adds.
    """

    features: dict[str, list[list[int]]]
    rows: list[int]
    offsets: list[list[tuple[int, int]]]
    parts: list[list[int | None]]

    def __len__(self) -> int:
        return len(self.rows)

    def is_first(self, window: int) -> bool:
        """Whether a window is the first of its text."""
        return window == 0 or self.rows[window - 1] != self.rows[window]

    def is_last(self, window: int) -> bool:
        """Whether a window is the last of its text."""
        return window == len(self.rows) - 1 or self.rows[window + 1] != self.rows[window]

    def context(self, window: int, part: int) -> Iterator[tuple[int, float]]:
        """The tokens of the text that is cut: each one's place in the window, and how much context it has there.

        That is the number of tokens between it and the nearer end of the window at which the text goes on.
        """
        places = [place for place, of in enumerate(self.parts[window]) if of == part]
        for number, place in enumerate(places):
            before = math.inf if self.is_first(window) else number
            behind = math.inf if self.is_last(window) else len(places) - 1 - number
            yield place, min(before, behind)


def in_windows(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    second: Sequence[str] | None = None,
    *,
    size: int,
    overlap: int,
    key: str = "task.overlap",
) -> Windows:
    """Cuts texts into windows; of pairs the second text is cut, and every window begins with the first.

    Args:
        tokenizer: a fast one, which knows where its tokens stand.
        texts: one a row.
        second: the second text of each row.
        size: the most tokens of a window, those that the tokenizer adds included.
        overlap: tokens that two neighbouring windows of a text share.
        key: the configuration's for the overlap, for messages.

    Raises:
        AdaptError: see :func:`require_windows`.
    """
    require_windows(tokenizer, size, overlap, pairs=second is not None, key=key)
    if not texts:
        return Windows({"input_ids": []}, [], [], [])
    encoded = tokenizer(
        list(texts),
        list(second) if second is not None else None,
        truncation="only_first" if second is None else "only_second",
        max_length=size,
        stride=overlap,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    parts = [encoded.sequence_ids(window) for window in range(len(encoded["input_ids"]))]
    features: dict[str, Any] = dict(encoded)
    rows, offsets = features.pop("overflow_to_sample_mapping"), features.pop("offset_mapping")
    return Windows(features, rows, offsets, parts)


def require_windows(
    tokenizer: PreTrainedTokenizerBase, size: int, overlap: int, *, pairs: bool = False, key: str = "task.overlap"
) -> None:
    """Raises AdaptError where a tokenizer cannot cut texts so: it is no fast one, or windows would not move on."""
    if not tokenizer.is_fast:
        raise AdaptError(
            f"{type(tokenizer).__name__} does not know where its tokens stand in a text, and that must be known",
            "Use a model with a fast tokenizer (tokenizer.json).",
        )
    room = size - tokenizer.num_special_tokens_to_add(pair=pairs)
    if not overlap < room:
        raise AdaptError(
            f"{key}: windows of {size} tokens have room for {max(room, 0)} of the text, and {overlap} of them "
            "are to be shared with the window before",
            f"Give a smaller {key}, or a larger task.max_length.",
        )
