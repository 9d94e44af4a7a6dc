"""Questions with their contexts as token ids, in windows, and the places of the answers in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from datasets import Value
from torch.utils.data import Dataset
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase

from adapt_core.errors import AdaptError
from adapt_core.utils.units import shortened
from adapt_nlp.data.preprocessing import IDS, Preprocessing, tokenizer_key
from adapt_nlp.data.splits import fingerprint
from adapt_nlp.data.views import derived, sizes
from adapt_nlp.question_answering.questions import Questions, Spans
from adapt_nlp.tokenizer import require_known_tokens
from adapt_nlp.windows import Windows, in_windows, require_windows

WINDOW_KEY = "window"
"""The key of a batch that holds the numbers of its windows; the model does not get it."""

NOWHERE = (0, 0)


class EncodedQuestions(Dataset[dict[str, Any]]):
    """Windows of questions with their contexts, unpadded.

    Attributes:
        features: what the model takes, by name.
        rows: the question of each window, by its number; ascending.
        offsets: for each token of a window where it stands in the context, ``(start, end)`` in characters; an empty
            range for a token of which no answer can be: of the question, or added by the tokenizer.
        null: the place in each window that stands for no answer: the token that the tokenizer puts there to stand for
            the whole (``[CLS]``, ``<s>``), or the first where it has none.
        places: the first and the last token of each window's answer, those of ``null`` where it holds none; None where
            there are no answers.
        unread: questions that have an answer which lies in no window whole.
        lengths: tokens of each window.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]], *, answered: bool) -> None:
        self.features = {name: values for name, values in columns.items() if name not in OWN}
        self.rows: Sequence[int] = columns["row"]
        self.null: Sequence[int] = columns["null"]
        self.offsets = derived(_pairs, columns["starts"], columns["ends"])
        self.lengths = sizes(self.features["input_ids"])
        self.places = derived(_both, columns["place"]) if answered else None
        self.unread = sorted({row for row, lost in zip(self.rows, columns["unread"], strict=True) if lost})

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, window: int) -> dict[str, Any]:
        """The features of a window and, where there are answers, ``start_positions`` and ``end_positions``."""
        row: dict[str, Any] = {name: values[window] for name, values in self.features.items()}
        if self.places is None:
            return row
        first, last = self.places[window]
        return {**row, "start_positions": first, "end_positions": last}


class Numbered(Dataset[dict[str, Any]]):
    """Encoded windows, each with its number, by which a meter knows it again."""

    def __init__(self, encoded: EncodedQuestions) -> None:
        self.encoded = encoded

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, window: int) -> dict[str, Any]:
        """The features of a window, and its number."""
        return {**self.encoded[window], WINDOW_KEY: window}


class Collation:
    """Makes a batch of windows: padded, with the places of answers where the padding moves them.

    Args:
        tokenizer: which knows on which side it pads.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.left = tokenizer.padding_side == "left"
        self.pad = DataCollatorWithPadding(tokenizer)

    def __call__(self, windows: list[dict[str, Any]]) -> Mapping[str, torch.Tensor]:
        """Tensors of shape (windows, tokens), and of shape (windows,) for the places and numbers."""
        batch = dict(self.pad(windows))
        if self.left:
            moved = batch["input_ids"].shape[1] - torch.tensor([len(window["input_ids"]) for window in windows])
            for name in ("start_positions", "end_positions"):
                if name in batch:
                    batch[name] = batch[name] + moved
        return batch


OWN = {
    "row": Value("int32"),
    "null": Value("int32"),
    "starts": IDS,
    "ends": IDS,
    "place": IDS,
    "unread": Value("bool"),
}
"""The columns of windows beside what the model takes; see :class:`EncodedQuestions`."""


def encode(
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[str],
    contexts: Sequence[str],
    answers: Sequence[Spans] | None = None,
    *,
    overlap: int,
) -> EncodedQuestions:
    """Encodes a few questions, in memory, each with its context behind it; spaces around a question are left out.

    Args:
        tokenizer: whose ``model_max_length`` is the size of a window.
        questions: one a row.
        contexts: of the same rows.
        answers: where each row's answers stand in its context; the first is learnt.
        overlap: tokens of the context that neighbouring windows share.

    Raises:
        AdaptError: a question is too long for a window.
    """
    rows = Questions(questions, contexts, [[] for _ in questions] if answers is None else answers)
    return EncodedQuestions(columns(tokenizer, rows, overlap, 0, len(questions)), answered=answers is not None)


def encode_rows(
    tokenizer: PreTrainedTokenizerBase, rows: Questions, preprocessing: Preprocessing, what: str, *, overlap: int
) -> EncodedQuestions:
    """The same of all rows of a split, through the cache."""
    made_of = (fingerprint(rows.questions, rows.contexts, rows.answers), tokenizer_key(tokenizer), overlap)
    encoded = preprocessing.encoded(what, len(rows), partial(columns, tokenizer, rows, overlap), OWN, *made_of)
    return EncodedQuestions(encoded.columns, answered=True)


def streamed(
    tokenizer: PreTrainedTokenizerBase, module: Any, overlap: int, rows: Questions
) -> Iterator[dict[str, Any]]:
    """The same of some rows of a stream, in memory, without questions whose answer lies in no window whole.

    Raises:
        AdaptError: a question is too long, or there is a token that the model does not know.
    """
    made = encode(tokenizer, rows.questions, rows.contexts, rows.answers, overlap=overlap)
    texts = (rows.contexts[row] for row in made.rows)
    require_known_tokens(tokenizer, module, made.features["input_ids"], texts)
    unread = set(made.unread)
    return (made[window] for window, row in enumerate(made.rows) if row not in unread)


def columns(
    tokenizer: PreTrainedTokenizerBase, rows: Questions, overlap: int, start: int, stop: int
) -> dict[str, list[Any]]:
    """The windows of rows that follow one another: what the model takes, and :data:`OWN`."""
    questions, answers = rows.questions[start:stop], rows.answers[start:stop]
    long = too_long(tokenizer, questions, tokenizer.model_max_length, overlap)
    if long:
        raise AdaptError(
            f"The question {shortened(questions[long[0]])} is too long: beside it, a window of "
            f"{tokenizer.model_max_length} tokens (task.max_length) has no room for more of the context than two "
            f"windows share, {overlap} tokens (task.doc_stride).",
            "Shorten it.",
        )
    windows = in_windows(
        tokenizer,
        [question.strip() for question in questions],
        rows.contexts[start:stop],
        size=tokenizer.model_max_length,
        overlap=overlap,
        key="task.doc_stride",
    )
    none = tokenizer.cls_token_id
    null = [ids.index(none) if none in ids else 0 for ids in windows.features["input_ids"]]
    spans = [
        [span if part == 1 else NOWHERE for span, part in zip(*each, strict=True)]
        for each in zip(windows.offsets, windows.parts, strict=True)
    ]
    found = [_place(windows, window, answers[row]) for window, row in enumerate(windows.rows)]
    read = {row for row, place in zip(windows.rows, found, strict=True) if place}
    return {
        **windows.features,
        "row": [start + row for row in windows.rows],
        "null": null,
        "starts": [[begin for begin, _ in each] for each in spans],
        "ends": [[end for _, end in each] for each in spans],
        "place": [list(place or (own, own)) for place, own in zip(found, null, strict=True)],
        "unread": [bool(answers[row]) and row not in read for row in windows.rows],
    }


def _both(place: Sequence[int]) -> tuple[int, int]:
    first, last = place
    return first, last


def _pairs(starts: Sequence[int], ends: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(starts, ends, strict=True))


def too_long(tokenizer: PreTrainedTokenizerBase, questions: Sequence[str], size: int, overlap: int) -> list[int]:
    """The numbers of questions beside which a window has no more room than windows are to share.

    Raises:
        AdaptError: that would be so without a question, or the tokenizer cannot cut texts.
    """
    require_windows(tokenizer, size, overlap, pairs=True, key="task.doc_stride")
    if not questions:
        return []
    texts = [question.strip() for question in questions]
    # verbose: that a question is longer than the model takes is told by the caller.
    ids: Any = tokenizer(texts, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    room = size - tokenizer.num_special_tokens_to_add(pair=True) - overlap
    return [number for number, each in enumerate(ids) if len(each) >= room]


def _place(windows: Windows, window: int, spans: Spans) -> tuple[int, int] | None:
    """The tokens of the first answer, where a window holds all of it."""
    if not spans:
        return None
    start, end = spans[0]
    tokens = [(token, *windows.offsets[window][token]) for token, part in enumerate(windows.parts[window]) if part == 1]
    tokens = [each for each in tokens if each[1] < each[2]]
    inside = [token for token, begin, stop in tokens if begin < end and stop > start]
    if not inside:
        return None
    begun = tokens[0][1] <= start or windows.is_first(window)
    ended = tokens[-1][2] >= end or windows.is_last(window)
    return (inside[0], inside[-1]) if begun and ended else None
