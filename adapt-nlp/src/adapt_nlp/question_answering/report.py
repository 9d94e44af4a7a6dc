"""What a person sees of questions and answers: before a run, and in its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from transformers import PreTrainedTokenizerBase

from adapt_core.bundles import Data, Inspected, Section
from adapt_core.utils.units import listed
from adapt_nlp.inspection import Shown, as_tokens, token_lengths
from adapt_nlp.question_answering.encoding import EncodedQuestions
from adapt_nlp.question_answering.metrics import squad_metrics
from adapt_nlp.question_answering.options import QuestionAnsweringOptions
from adapt_nlp.question_answering.questions import Questions, Spans

SHOWN_ROWS = 3
REPORTED_ROWS = 20
NO_ANSWER = "no answer"

Line = tuple[str, list[tuple[int, int, str]], str]
"""A text, its marked ranges and a remark."""


def preview(data: Data) -> Sequence[Section]:
    """The first training questions with their answers marked, and how many have one."""
    rows: Questions = data.train
    shown = [_line(rows, row, rows.answers[row][:1], "answer") for row in range(min(SHOWN_ROWS, len(rows)))]
    counts = [[name, count] for name, count in data.info["answers"].items()]
    return [
        Section("First training rows", "spans", [], shown),
        Section("Training rows", "table", ["questions", "rows"], counts),
    ]


def token_marks(encoded: EncodedQuestions, window: int, rows: Questions) -> Shown:
    """A window's tokens, those of the answer marked."""
    assert encoded.places is not None
    first, last = encoded.places[window]
    row = encoded.rows[window]
    none = last == encoded.null[window]
    label = NO_ANSWER if none else "answer"
    marks = [label if first <= place <= last else None for place in range(encoded.lengths[window])]
    return encoded.features["input_ids"][window], marks, listed(rows.texts(row)) or NO_ANSWER


def inspected(
    name: str, rows: Questions, encoded: EncodedQuestions, tokenizer: PreTrainedTokenizerBase, examples: int
) -> Inspected:
    """What the model will see of a split: lengths, whose answers lie in a window, and the first windows as tokens."""
    unread = set(encoded.unread)
    kinds = Counter(
        "without an answer" if not spans else "answer beyond every window" if row in unread else "answer in a window"
        for row, spans in enumerate(rows.answers)
    )
    shown = [token_marks(encoded, window, rows) for window, row in enumerate(encoded.rows) if row < examples]
    return Inspected(
        name,
        list(zip(rows.questions, rows.contexts, map(tuple, rows.answers), strict=True)),
        token_lengths(tokenizer, [question.strip() for question in rows.questions], rows.contexts),
        tokenizer.model_max_length,
        labels=dict(kinds),
        examples=as_tokens(name, tokenizer, shown),
    )


def answer_notices(name: str, encoded: EncodedQuestions, options: QuestionAnsweringOptions) -> Iterator[str]:
    """What of the answers of rows cannot be learnt or found, a sentence each."""
    assert encoded.places is not None
    rows = f"{len(set(encoded.rows)):,} {name} rows"
    if encoded.unread:
        left = "They are not trained on." if name == "training" else "They cannot be found whole."
        yield (
            f"{len(encoded.unread):,} of the {rows} have an answer that lies in no window whole: windows share "
            f"{options.doc_stride} tokens (task.doc_stride). {left}"
        )
    limit = options.max_answer_length
    long = {row for row, (a, b) in zip(encoded.rows, encoded.places, strict=True) if b - a >= limit}
    if long:
        yield (
            f"{len(long):,} of the {rows} have an answer of more than {limit} tokens (task.max_answer_length), which "
            "is not found."
        )


def sections(found: Sequence[tuple[int, int] | None], data: Data) -> Sequence[Section]:
    """Questions and contexts with the predicted answers marked, beside those of the data; mistakes first.

    Args:
        found: where the chosen answers of the evaluation rows stand in their contexts, None for no answer.
        data: with these rows.
    """
    rows: Questions = data.evaluation
    right = [_is_right(rows, row, found[row], data.info["unanswerable"]) for row in range(len(rows))]
    order = sorted(range(len(rows)), key=lambda row: (right[row], row))
    wrong = right.count(False)
    shown = [*order[:wrong][: REPORTED_ROWS // 2], *order[wrong:][: REPORTED_ROWS // 2]]
    lines = [_answered(rows, row, found[row], right[row]) for row in shown]
    return [Section("Sample predictions", "spans", ["predicted", "in the data"], lines)]


def _is_right(rows: Questions, row: int, place: tuple[int, int] | None, unanswerable: bool) -> bool:
    text = "" if place is None else rows.contexts[row][slice(*place)]
    return squad_metrics([text], [rows.texts(row)], unanswerable=unanswerable)["exact_match"] == 1


def _answered(rows: Questions, row: int, place: tuple[int, int] | None, right: bool) -> Line:
    """A question with its context, the predicted answer in it and, where that is wrong, what the data says."""
    text, ranges, _ = _line(rows, row, [] if place is None else [place], "predicted")
    said = "predicted: no answer; " if place is None else ""
    if right:
        return text, ranges, f"{said}right"
    ranges += _line(rows, row, rows.answers[row][:1], "in the data")[1]
    return text, ranges, f"{said}in the data: {listed(list(dict.fromkeys(rows.texts(row)))) or NO_ANSWER}"


def _line(rows: Questions, row: int, spans: Spans, label: str) -> Line:
    """The question, and in the lines below it the context with ranges of it marked."""
    question = rows.questions[row].strip()
    before = len(question) + 1
    ranges = [(before + start, before + end, label) for start, end in spans]
    return f"{question}\n{rows.contexts[row]}", ranges, "" if rows.answers[row] else NO_ANSWER
