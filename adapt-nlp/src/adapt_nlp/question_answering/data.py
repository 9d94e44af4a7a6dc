"""The rows of question answering: loaded, checked and split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.utils.units import shortened
from adapt_nlp.data import loading
from adapt_nlp.data.columns import choose, column, read_strings
from adapt_nlp.data.loading import LoadedRows, Reading, Reshaped, load_rows
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import BATCH
from adapt_nlp.question_answering.options import QuestionAnsweringData
from adapt_nlp.question_answering.questions import (
    NESTED,
    SQUAD,
    Questions,
    is_nested,
    question_parts,
    questions_source,
    read_answers,
    read_ids,
)

QUESTION_NAMES = ("question", "query")
CONTEXT_NAMES = ("context", "passage", "paragraph", "document", "text")
ANSWER_NAMES = ("answers", "answer")
"""Usual names of columns, in any case. The first of a tuple is taken even where others of it stand beside it."""

TooLong = Callable[[Sequence[str]], Sequence[int]]
"""From questions to the numbers of those that leave no room for a context."""


QuestionRows = LoadedRows[Questions]


class QuestionReading(Reading[Questions]):
    """Reads questions, their contexts and answers.

    Args:
        options: the ``dataset`` section.
        unanswerable: whether a question may have no answer; None to tell by the training rows.
        too_long: finds questions that leave no room for a context.
    """

    def __init__(self, options: QuestionAnsweringData, unanswerable: bool | None, too_long: TooLong) -> None:
        self.options, self.unanswerable, self.too_long = options, unanswerable, too_long
        self.rows = 0

    def reshaped(self, table: Table) -> Reshaped | None:
        """SQuAD's nested JSON as one row a question."""
        return reshaped(table)

    def training(self, table: Table) -> Questions:
        """Settles the columns, and whether there may be no answer."""
        self.columns = _columns(table, self.options)
        train = _questions(table, self.columns, self.unanswerable, self.too_long)
        if not any(train.answers):
            raise AdaptError(
                f"{table.source}: none of the {len(train)} training rows has an answer.",
                "There is nothing to learn from that: train on rows with answers.",
            )
        self.rows = len(train)
        self.allowed = not all(train.answers) if self.unanswerable is None else self.unanswerable
        return train

    def other(self, table: Table) -> Questions:
        """By the columns of the training rows."""
        return _questions(table, self.columns, self.allowed, self.too_long)

    def why_not_streamed(self, table: Table) -> str | None:
        """Whether there may be no answer must be known before the first row is trained on."""
        if self.unanswerable is not None:
            return None
        return "whether a question may have no answer cannot be told by all rows; say it in task.unanswerable"

    def facts(self, train: Questions) -> dict[str, Any]:
        """``answers`` (training rows with an answer and without), ``unanswerable`` (whether a question may have none)
        and ``columns``.
        """
        answered = sum(map(bool, train.answers))
        return {
            "answers": {"with an answer": answered, "without": len(train) - answered},
            "unanswerable": self.allowed,
            "columns": self.columns,
        }

    def used(self, rows: Questions) -> list[Any]:
        """Questions, contexts and the places of answers."""
        return [rows.questions, rows.contexts, rows.answers]

    def groups(self, train: Questions) -> Sequence[str]:
        """All questions on one context go together."""
        return train.contexts

    def none_to_hold_out(self, source: str) -> AdaptError:
        """There is one context."""
        return AdaptError(
            f"{source}: nothing can be held out: all {self.rows} rows have one context.",
            "Add rows or a validation split, or evaluate nothing with training.do_eval=false (DO_EVAL).",
        )


def reshaped(table: Table) -> Reshaped | None:
    """SQuAD's nested JSON as one row a question; None of another table."""
    return Reshaped(questions_source(table), lambda: question_parts(table)) if is_nested(table) else None


def load_question_data(
    options: QuestionAnsweringData,
    unanswerable: bool | None,
    seed: int,
    *,
    evaluate: bool = True,
    too_long: TooLong,
) -> QuestionRows:
    """The data of a run; see :func:`~adapt_nlp.data.loading.load_rows` and :class:`QuestionReading`."""
    return load_rows(options, seed, QuestionReading(options, unanswerable, too_long), evaluate=evaluate)


def load_split(
    options: QuestionAnsweringData,
    source: str | None,
    split: str | None,
    info: Mapping[str, Any],
    seed: int,
    too_long: TooLong,
) -> tuple[Questions, str]:
    """Rows for evaluating a finished run; see :func:`adapt_nlp.data.loading.load_split`.

    Args:
        options, source, split, info: as there.
        seed: the run's.
        too_long: finds questions that leave no room for a context.
    """

    def again(evaluate: bool) -> QuestionRows:
        return load_question_data(options, info["unanswerable"], seed, evaluate=evaluate, too_long=too_long)

    def read(table: Table) -> Questions:
        columns = SQUAD if table.source.endswith(NESTED) else info["columns"]
        return _questions(table, columns, info["unanswerable"], too_long)

    return loading.load_split(options, source, split, info, again=again, read=read, reshape=reshaped)


def _columns(table: Table, options: QuestionAnsweringData) -> dict[str, str | None]:
    """The columns of a table, as configured or by their usual names."""
    question = choose(table, options.question_column, "dataset.question_column", QUESTION_NAMES, "the question")
    context = choose(table, options.context_column, "dataset.context_column", CONTEXT_NAMES, "the context", (question,))
    answers = choose(
        table, options.answers_column, "dataset.answers_column", ANSWER_NAMES, "the answers", (question, context)
    )
    if options.id_column is not None:
        column(table, options.id_column, "dataset.id_column")
    identity = options.id_column or next((name for name in table.columns if name.lower() == "id"), None)
    return {"question": question, "context": context, "answers": answers, "id": identity}


def _questions(
    table: Table, columns: Mapping[str, str | None], unanswerable: bool | None, too_long: TooLong
) -> Questions:
    """The checked rows of a table."""
    questions = read_strings(table, columns["question"] or "")
    contexts = read_strings(table, columns["context"] or "")
    if columns["id"] is not None and columns["id"] in table.columns:
        read_ids(table, columns["id"])
    rows = Questions(questions, contexts, read_answers(table, columns["answers"] or "", contexts))
    without = [row for row, spans in enumerate(rows.answers) if not spans]
    if without and unanswerable is False:
        raise AdaptError(
            f"{table.source}: there are questions without an answer, at {table.place(without)} ({len(without)} of "
            f"{len(rows)} rows), and the model is one that always gives an answer.",
            "Train with task.unanswerable=true on rows of both kinds, or remove these rows.",
        )
    long = [
        start + row for start in range(0, len(questions), BATCH) for row in too_long(questions[start : start + BATCH])
    ]
    if long:
        raise AdaptError(
            f"{table.source}: questions are too long at {table.place(long)}: beside {shortened(questions[long[0]])}, a "
            "window (task.max_length) has no room for more of the context than two windows share (task.doc_stride).",
            "Shorten these questions, or give a larger task.max_length or a smaller task.doc_stride.",
        )
    return rows
