"""Sentences as token ids, in windows, with one place for each word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from datasets import Value
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from adapt_nlp.data.preprocessing import Preprocessing, tokenizer_key
from adapt_nlp.data.splits import fingerprint
from adapt_nlp.data.views import derived, sizes
from adapt_nlp.token_classification.data import TaggedSentences
from adapt_nlp.token_classification.words import joined
from adapt_nlp.tokenizer import require_known_tokens
from adapt_nlp.windows import in_windows

IGNORED = -100
"""The label of tokens that have none, which PyTorch's cross entropy leaves out."""


NOWHERE = (-1.0, -1, -1)


class EncodedSentences(Dataset[dict[str, Any]]):
    """Windows of sentences, unpadded, in which every word is read at one place.

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
        features: Mapping[str, Sequence[Any]],
        places: Sequence[list[tuple[int, int, int]]],
        tags: Sequence[Sequence[int]] | None,
    ) -> None:
        self.features = features
        self.places = places
        self.tags = tags
        self.lengths = sizes(features["input_ids"])

    def texts(self, words: Sequence[Sequence[str]]) -> Iterator[str]:
        """The sentence of each window, out of those that they were made of."""
        return (" ".join(words[places[0][1]]) for places in self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, window: int) -> dict[str, Any]:
        """The features of a window and, where there are tags, ``labels``, one a token."""
        row: dict[str, Any] = {name: values[window] for name, values in self.features.items()}
        if self.tags is None:
            return row
        labels = [IGNORED] * len(row["input_ids"])
        places = self.places[window]
        tags = self.tags[places[0][1]]  # all of a window are of one sentence
        for token, _, word in places:
            labels[token] = tags[word]
        return {**row, "labels": labels}


def encode(
    tokenizer: PreTrainedTokenizerBase,
    sentences: Sequence[Sequence[str]],
    tags: Sequence[Sequence[int]] | None = None,
    *,
    overlap: int | None = None,
) -> EncodedSentences:
    """Encodes a few sentences, in memory, each as its words with spaces between them.

    Args:
        tokenizer: whose ``model_max_length`` is the size of a window.
        sentences: the words of each.
        tags: the id of each word's tag.
        overlap: tokens that neighbouring windows share; by default a quarter of a window.
    """
    return _of(columns(tokenizer, sentences, overlap, 0, len(sentences)), tags)


def encode_rows(
    tokenizer: PreTrainedTokenizerBase,
    rows: TaggedSentences,
    preprocessing: Preprocessing,
    what: str,
    *,
    overlap: int | None = None,
) -> EncodedSentences:
    """The same of all rows of a split, through the cache."""
    made_of = (fingerprint(rows.tokens), tokenizer_key(tokenizer), overlap)
    encoded = preprocessing.encoded(what, len(rows), partial(columns, tokenizer, rows.tokens, overlap), TYPES, *made_of)
    return _of(encoded.columns, rows.tags)


def streamed(
    tokenizer: PreTrainedTokenizerBase, module: Any, overlap: int | None, rows: TaggedSentences
) -> Iterator[dict[str, Any]]:
    """The same of some rows of a stream, in memory. Raises AdaptError for a token that the model does not know."""
    made = encode(tokenizer, rows.tokens, rows.tags, overlap=overlap)
    require_known_tokens(tokenizer, module, made.features["input_ids"], made.texts(rows.tokens))
    return (made[window] for window in range(len(made)))


TOKENS, ROW, WORDS = "place_tokens", "place_row", "place_words"
TYPES = {ROW: Value("int32")}
"""The columns of the places at which words are read: of each window the tokens, its sentence, and the words."""


def columns(
    tokenizer: PreTrainedTokenizerBase, sentences: Sequence[Sequence[str]], overlap: int | None, start: int, stop: int
) -> dict[str, list[Any]]:
    """The windows of sentences that follow one another: what the model takes, and where words are read."""
    size = tokenizer.model_max_length
    texts = [joined(words) for words in sentences[start:stop]]
    windows = in_windows(
        tokenizer, [text for text, _ in texts], size=size, overlap=size // 4 if overlap is None else overlap
    )
    best: dict[tuple[int, int], tuple[float, int, int]] = {}  # of (row, word): its context, the window and the token
    for window, row in enumerate(windows.rows):
        text, spans = texts[row]
        word, begun = 0, set[int]()
        for token, context in windows.context(window, part=0):
            begin, end = windows.offsets[window][token]
            begin += len(text[begin:end]) - len(text[begin:end].lstrip())
            if begin >= end:  # a space, or nothing
                continue
            while begin >= spans[word][1]:
                word += 1
            cut = not begun and begin > spans[word][0] and not windows.is_first(window)  # it began in the one before
            if word not in begun and not cut and context > best.get((row, word), NOWHERE)[0]:
                best[row, word] = (context, window, token)
            begun.add(word)
    places: list[list[tuple[int, int]]] = [[] for _ in windows.rows]
    for (_, word), (_, window, token) in best.items():
        places[window].append((token, word))
    kept = [window for window, each in enumerate(places) if each]
    read = [sorted(places[window]) for window in kept]
    return {
        **{name: [values[window] for window in kept] for name, values in windows.features.items()},
        TOKENS: [[token for token, _ in each] for each in read],
        ROW: [start + windows.rows[window] for window in kept],
        WORDS: [[word for _, word in each] for each in read],
    }


def _of(columns: Mapping[str, Sequence[Any]], tags: Sequence[Sequence[int]] | None) -> EncodedSentences:
    places = derived(_places, columns[TOKENS], columns[ROW], columns[WORDS])
    features = {name: values for name, values in columns.items() if name not in (TOKENS, ROW, WORDS)}
    return EncodedSentences(features, places, tags)


def _places(tokens: Sequence[int], row: int, words: Sequence[int]) -> list[tuple[int, int, int]]:
    return [(token, row, word) for token, word in zip(tokens, words, strict=True)]
