"""From the logits of windows to answers: the best spans of each window, put together by question."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapt_nlp.question_answering.encoding import EncodedQuestions


@dataclass(frozen=True)
class Answer:
    """A span of a context.

    Attributes:
        score: the logit of its first token as a start and that of its last as an end, added.
        start, end: where it stands in the context, in characters.
    """

    score: float
    start: int
    end: int


@dataclass(frozen=True)
class Answers:
    """What was found for one question.

    Attributes:
        best: answers, best first; none where the context has no tokens.
        null: the score of there being no answer, the lowest of all windows: each of them must say so.
    """

    best: tuple[Answer, ...]
    null: float

    def chosen(self, threshold: float | None) -> Answer | None:
        """The best answer; None where there is none, or where its score is below that of none by more than a threshold.

        Args:
            threshold: None where every question has an answer.
        """
        if not self.best or (threshold is not None and self.null - self.best[0].score > threshold):
            return None
        return self.best[0]


Candidates = tuple[float, list[tuple[float, int, int]]]
"""Of a window: the score of no answer, and the score, first and last token of its best spans, best first."""


def candidates(
    start: np.ndarray, end: np.ndarray, usable: Sequence[bool], null: int, longest: int, count: int
) -> Candidates:
    """The best spans of a window: those of the highest sums of two logits, and not only of the highest logits.

    Args:
        start: logits of each token as an answer's first, of shape (tokens,).
        end: of each as its last.
        usable: of which tokens answers can be.
        null: the token that stands for no answer.
        longest: tokens that an answer may have.
        count: how many to give.
    """
    start, end = start.astype(np.float64), end.astype(np.float64)
    mask = np.asarray(usable, bool)
    starts = np.where(mask, start, -np.inf)
    longest = min(longest, len(starts))
    ends = np.concatenate([np.where(mask, end, -np.inf), np.full(longest - 1, -np.inf)])
    scores = starts[:, None] + np.lib.stride_tricks.sliding_window_view(ends, longest)  # (tokens, tokens more)
    flat = scores.ravel()
    best = np.argpartition(-flat, min(count, len(flat)) - 1)[:count]
    best = best[np.lexsort((best, -flat[best]))]
    spans = [(float(flat[each]), int(each // longest), int(each // longest + each % longest)) for each in best]
    return float(start[null] + end[null]), [span for span in spans if math.isfinite(span[0])]


def window_candidates(
    encoded: EncodedQuestions, outputs: Mapping[str, Any], windows: Sequence[int], left: bool, longest: int, count: int
) -> list[Candidates]:
    """The best spans of each window of a batch.

    Args:
        encoded: with these windows.
        outputs: ``start_logits`` and ``end_logits``, tensors of shape (windows, tokens).
        windows: their numbers.
        left: whether padding stands before the tokens.
        longest: tokens that an answer may have.
        count: how many to give of each.
    """
    both = [outputs[name].float().cpu().numpy() for name in ("start_logits", "end_logits")]
    found = []
    for line, window in enumerate(windows):
        before = both[0].shape[1] - encoded.lengths[window] if left else 0
        start, end = (values[line, before : before + encoded.lengths[window]] for values in both)
        usable = [begin < stop for begin, stop in encoded.offsets[window]]
        found.append(candidates(start, end, usable, encoded.null[window], longest, count))
    return found


def put_together(
    encoded: EncodedQuestions, found: Iterable[tuple[int, Candidates]], contexts: Sequence[str], count: int
) -> list[Answers]:
    """The best answers of each question over all of its windows, each place once, without spaces around it.

    Args:
        encoded: the windows.
        found: the number of each window and its best spans.
        contexts: one a question.
        count: how many answers to keep.
    """
    spans: list[dict[tuple[int, int], float]] = [{} for _ in contexts]
    null = [math.inf] * len(contexts)
    for window, (none, best) in found:
        row = encoded.rows[window]
        null[row] = min(null[row], none)
        for score, first, last in best:
            start, end = encoded.offsets[window][first][0], encoded.offsets[window][last][1]
            text = contexts[row][start:end]
            start, end = start + len(text) - len(text.lstrip()), end - len(text) + len(text.rstrip())
            if start < end:
                spans[row][start, end] = max(score, spans[row].get((start, end), -math.inf))
    ordered = [sorted(each.items(), key=lambda pair: (-pair[1], pair[0])) for each in spans]
    return [
        Answers(tuple(Answer(score, *place) for place, score in each[:count]), none)
        for each, none in zip(ordered, null, strict=True)
    ]


def probabilities(answers: Answers, *, unanswerable: bool) -> tuple[list[float], float | None]:
    """The scores of answers as shares of 1, and that of no answer where there may be none."""
    scores = np.array([each.score for each in answers.best] + ([answers.null] if unanswerable else []))
    if not len(scores):
        return [], None
    powers = np.exp(scores - scores.max())
    shares = [float(each) for each in powers / powers.sum()]
    return (shares[:-1], shares[-1]) if unanswerable else (shares, None)
