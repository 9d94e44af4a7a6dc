"""Exact match and F1 of answers, as SQuAD's evaluation scripts (1.1 and 2.0) define them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from adapt_core.bundles import Evaluated
from adapt_core.interfaces import World
from adapt_nlp.question_answering.answers import Candidates, put_together, window_candidates
from adapt_nlp.question_answering.encoding import WINDOW_KEY, EncodedQuestions
from adapt_nlp.question_answering.options import QuestionAnsweringOptions
from adapt_nlp.question_answering.questions import Questions

ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
PUNCTUATION = str.maketrans("", "", string.punctuation)


class AnswerMeter:
    """Exact match and F1, where questions may have no answer also those of both kinds apart.

    It keeps the best spans of every window and puts windows of one question together in the end.

    Args:
        encoded: the windows that are evaluated on.
        rows: the questions, with their answers.
        options: of the task.
        unanswerable: whether questions may have no answer.
        left: whether padding stands before the tokens.
    """

    def __init__(
        self,
        encoded: EncodedQuestions,
        rows: Questions,
        options: QuestionAnsweringOptions,
        unanswerable: bool,
        left: bool,
    ) -> None:
        self.encoded, self.rows, self.options, self.left = encoded, rows, options, left
        self.threshold = options.null_threshold if unanswerable else None
        self.found: list[tuple[int, Candidates]] = []

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Takes in start and end logits of shape (windows, tokens), and the windows' numbers, of shape (windows,)."""
        windows = batch[WINDOW_KEY].tolist()
        longest, count = self.options.max_answer_length, self.options.n_best
        found = window_candidates(self.encoded, outputs, windows, self.left, longest, count)
        self.found += zip(windows, found, strict=True)

    def result(self, world: World) -> Evaluated:
        """The metrics; the outputs are where the chosen answers stand in their contexts, None for no answer."""
        found = [each for part in world.gather(self.found) for each in part]
        answers = put_together(self.encoded, found, self.rows.contexts, count=1)
        chosen = [each.chosen(self.threshold) for each in answers]
        places = [None if each is None else (each.start, each.end) for each in chosen]
        texts = [
            "" if place is None else context[slice(*place)]
            for place, context in zip(places, self.rows.contexts, strict=True)
        ]
        references = [self.rows.texts(row) for row in range(len(self.rows))]
        return Evaluated(squad_metrics(texts, references, unanswerable=self.threshold is not None), places)


def squad_metrics(
    answers: Sequence[str], references: Sequence[Sequence[str]], *, unanswerable: bool
) -> dict[str, float]:
    """``exact_match`` and ``f1``, means over questions of the best over their references, from 0 to 1.

    SQuAD's scripts print them times 100. With ``unanswerable`` also ``has_answer_exact_match``, ``has_answer_f1`` and
    ``no_answer_exact_match`` (the scripts' HasAns_exact, HasAns_f1 and NoAns_exact, to which NoAns_f1 is equal), each
    where there are such questions.

    Args:
        answers: one a question, empty for none.
        references: of each question; none where it has no answer.
        unanswerable: whether questions may have no answer.
    """
    exact, overlap = [], []
    for answer, true in zip(answers, references, strict=True):
        # As the script of 2.0: references of nothing but articles and punctuation do not count beside others.
        texts = [text for text in true if normalised(text)] or [""] if unanswerable else list(true)
        exact.append(max(float(normalised(answer) == normalised(text)) for text in texts))
        overlap.append(max(token_f1(answer, text, unanswerable=unanswerable) for text in texts))
    metrics = {"exact_match": mean(exact), "f1": mean(overlap)}
    if unanswerable:
        has = [bool(true) for true in references]
        if any(has):
            metrics["has_answer_exact_match"] = mean(one for one, there in zip(exact, has, strict=True) if there)
            metrics["has_answer_f1"] = mean(one for one, there in zip(overlap, has, strict=True) if there)
        if not all(has):
            metrics["no_answer_exact_match"] = mean(one for one, there in zip(exact, has, strict=True) if not there)
    return metrics


def normalised(text: str) -> str:
    """Lower case, without punctuation (of ASCII) and English articles, one space between words: in this order."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def token_f1(answer: str, reference: str, *, unanswerable: bool = False) -> float:
    """The harmonic mean of precision and recall of the words of an answer, both normalised.

    Where either has no words, 2.0 gives 1 if neither has and else 0, and 1.1 gives 0.
    """
    own, true = normalised(answer).split(), normalised(reference).split()
    if unanswerable and not (own and true):
        return float(own == true)
    same = sum((Counter(own) & Counter(true)).values())
    return 2 * same / (len(own) + len(true)) if same else 0.0
