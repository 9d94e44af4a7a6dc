"""The rows of question answering: loaded, checked and split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.utils.units import shortened
from adapt_nlp.data.columns import choose, column, read_strings
from adapt_nlp.data.source import open_source
from adapt_nlp.data.splits import counts, divide, fingerprint, is_of_run, other_split, read_split, rows_of_run
from adapt_nlp.data.table import Table
from adapt_nlp.question_answering.options import QuestionAnsweringData
from adapt_nlp.question_answering.questions import SQUAD, Questions, flattened, read_answers, read_ids

QUESTION_NAMES = ("question", "query")
CONTEXT_NAMES = ("context", "passage", "paragraph", "document", "text")
ANSWER_NAMES = ("answers", "answer")
"""Usual names of columns, in any case. The first of a tuple is taken even where others of it stand beside it."""

TooLong = Callable[[Sequence[str]], Sequence[int]]
"""From questions to the numbers of those that leave no room for a context."""


@dataclass(frozen=True)
class QuestionRows:
    """What a run trains and evaluates on.

    Attributes:
        train: the training rows, in the order of the data.
        evaluation: the evaluation rows, in the order of the data; None when none were asked for.
        info: for ``data.json``: ``source``, ``splits`` (the data's own names), ``evaluation`` (where its rows are
            from), ``rows``, ``answers`` (training rows with an answer and without), ``unanswerable`` (whether a
            question may have none), ``columns`` and ``fingerprint``, the SHA-256 of the rows used.
    """

    train: Questions
    evaluation: Questions | None
    info: Mapping[str, Any]


def load_question_data(
    options: QuestionAnsweringData,
    unanswerable: bool | None,
    seed: int,
    *,
    evaluate: bool = True,
    too_long: TooLong,
) -> QuestionRows:
    """Loads and checks the data of a run.

    Where evaluation rows are held out of the training split, all questions on one context go together.

    Args:
        options: the ``dataset`` section.
        unanswerable: whether a question may have no answer; None to tell by the training rows.
        seed: of every draw.
        evaluate: whether evaluation rows are wanted; without them nothing is held out.
        too_long: finds questions that leave no room for a context.

    Raises:
        UsageError: the configuration names data, splits or columns that are not there.
        AdaptError: the data cannot be trained on; says what is wrong, at which rows, and what to do.
    """
    source = open_source(options)
    roles = source.roles(options)
    table = flattened(read_split(source, roles.train))
    columns = _columns(table, options)
    train = _questions(table, columns, unanswerable, too_long)
    if not any(train.answers):
        raise AdaptError(
            f"{table.source}: none of the {len(train)} training rows has an answer.",
            "There is nothing to learn from that: train on rows with answers.",
        )
    allowed = not all(train.answers) if unanswerable is None else unanswerable
    train, evaluation, origin = divide(
        train,
        lambda split: _questions(flattened(read_split(source, split)), columns, allowed, too_long),
        roles,
        options,
        seed,
        evaluate=evaluate,
        none_to_hold_out=AdaptError(
            f"{table.source}: nothing can be held out: all {len(train)} rows have one context.",
            "Add rows or a validation split, or evaluate nothing with training.do_eval=false (DO_EVAL).",
        ),
        groups=train.contexts,
    )
    answered = sum(map(bool, train.answers))
    info = {
        "source": source.name,
        "splits": asdict(roles),
        "evaluation": origin,
        "rows": counts(train, evaluation, source, roles),
        "answers": {"with an answer": answered, "without": len(train) - answered},
        "unanswerable": allowed,
        "columns": columns,
        "fingerprint": fingerprint(_used(train), _used(evaluation)),
    }
    return QuestionRows(train, evaluation, info)


def load_split(
    options: QuestionAnsweringData,
    source: str | None,
    split: str | None,
    info: Mapping[str, Any],
    seed: int,
    too_long: TooLong,
) -> tuple[Questions, str]:
    """Rows for evaluating a finished run: all of a split, whatever ``max_eval_samples`` says.

    Args:
        options: the run's ``dataset`` section.
        source: other local data, a file or a folder; None for the run's own.
        split: the name of a split, or ``"train"``, ``"validation"`` or ``"test"`` for what is usually called so. Of
            the run's own data, ``"train"`` and ``"validation"`` are the rows that it trained and evaluated on.
            None: of the run's own data the rows that it evaluated on, of other data the only split.
        info: the run's ``data.json``, whose columns hold here.
        seed: the run's.
        too_long: finds questions that leave no room for a context.

    Returns:
        The rows, and in words where they are from.

    Raises:
        UsageError: there is no such data or split.
        AdaptError: the rows cannot be evaluated on, or the run's own rows are no longer the same.
    """
    if is_of_run(source, split):

        def load(evaluate: bool) -> QuestionRows:
            return load_question_data(options, info["unanswerable"], seed, evaluate=evaluate, too_long=too_long)

        return rows_of_run(load, split, info)
    read = other_split(options, source, split)
    table = flattened(read)
    columns = info["columns"] if table is read else SQUAD
    return _questions(table, columns, info["unanswerable"], too_long), read.source


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
    long = too_long(questions)
    if long:
        raise AdaptError(
            f"{table.source}: questions are too long at {table.place(long)}: beside {shortened(questions[long[0]])}, a "
            "window (task.max_length) has no room for more of the context than two windows share (task.doc_stride).",
            "Shorten these questions, or give a larger task.max_length or a smaller task.doc_stride.",
        )
    return rows


def _used(rows: Questions | None) -> list[Any] | None:
    """What of rows counts for the fingerprint."""
    return None if rows is None else [rows.questions, rows.contexts, rows.answers]
