"""Sentences as token ids, in windows, with one place for each word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from adapt_nlp.token_classification.words import joined
from adapt_nlp.windows import in_windows

IGNORED = -100
"""The label of tokens that have none, which PyTorch's cross entropy leaves out."""


NOWHERE = (-1.0, -1, -1)


class EncodedSentences(Dataset[dict[str, Any]]):
    """Windows of sentences in memory, unpadded, in which every word is read at one place.

    That is its first token, in the window where it has the most context. Windows at which no word is read are left out,
    and so are words of which the tokenizer makes no token (signs that cannot be seen).

    Attributes:
        features: what the model takes, by name.
        places: the words that are read in each window, as ``(token, row, word)``, in the order of the tokens.
        tags: the id of each word's tag, by row; None where there are none.
        lengths: tokens of each window.
    """

    def __init__(
        self,
        features: dict[str, list[list[int]]],
        places: list[list[tuple[int, int, int]]],
        tags: Sequence[Sequence[int]] | None,
    ) -> None:
        self.features = features
        self.places = places
        self.tags = tags
        self.lengths = [len(ids) for ids in features["input_ids"]]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, window: int) -> dict[str, Any]:
        """The features of a window and, where there are tags, ``labels``, one a token."""
        row: dict[str, Any] = {name: values[window] for name, values in self.features.items()}
        if self.tags is None:
            return row
        labels = [IGNORED] * self.lengths[window]
        for token, sentence, word in self.places[window]:
            labels[token] = self.tags[sentence][word]
        return {**row, "labels": labels}


def encode(
    tokenizer: PreTrainedTokenizerBase,
    sentences: Sequence[Sequence[str]],
    tags: Sequence[Sequence[int]] | None = None,
    *,
    overlap: int | None = None,
) -> EncodedSentences:
    """Encodes sentences, each as its words with spaces between them.

    Args:
        tokenizer: whose ``model_max_length`` is the size of a window.
        sentences: the words of each.
        tags: the id of each word's tag.
        overlap: tokens that neighbouring windows share; by default a quarter of a window.
    """
    size = tokenizer.model_max_length
    texts = [joined(words) for words in sentences]
    windows = in_windows(
        tokenizer, [text for text, _ in texts], size=size, overlap=size // 4 if overlap is None else overlap
    )
    best: dict[tuple[int, int], tuple[float, int, int]] = {}  # of (row, word): its context, the window and the token
    for window, row in enumerate(windows.rows):
        text, spans = texts[row]
        word, begun = 0, set[int]()
        for token, context in windows.context(window, part=0):
            start, end = windows.offsets[window][token]
            start += len(text[start:end]) - len(text[start:end].lstrip())
            if start >= end:  # a space, or nothing
                continue
            while start >= spans[word][1]:
                word += 1
            cut = not begun and start > spans[word][0] and not windows.is_first(window)  # it began in the one before
            if word not in begun and not cut and context > best.get((row, word), NOWHERE)[0]:
                best[row, word] = (context, window, token)
            begun.add(word)
    places: list[list[tuple[int, int, int]]] = [[] for _ in windows.rows]
    for (row, word), (_, window, token) in best.items():
        places[window].append((token, row, word))
    kept = [window for window, each in enumerate(places) if each]
    features = {name: [values[window] for window in kept] for name, values in windows.features.items()}
    return EncodedSentences(features, [sorted(places[window]) for window in kept], tags)
