"""Questions, contexts and answers out of a table, every one of them checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.utils.units import shortened
from adapt_nlp.data.columns import column
from adapt_nlp.data.table import Table

SQUAD = {"question": "question", "context": "context", "answers": "answers", "id": "id"}
"""Columns of SQuAD's nested JSON, once it is a table."""

FORM = '{"text": ["London"], "answer_start": [25]}'

Spans = list[tuple[int, int]]
"""Where answers stand in their context, ``(start, end)`` in characters."""


@dataclass(frozen=True)
class Questions:
    """Questions with their contexts and answers; a map-style data set, whose rows are mappings.

    Attributes:
        questions: one a row.
        contexts: of the same rows.
        answers: where each row's answers stand in its context; none where it has no answer.
    """

    questions: Sequence[str]
    contexts: Sequence[str]
    answers: Sequence[Spans]

    @property
    def strata(self) -> list[int]:
        """Whether each question has an answer: a draw keeps the share of those without."""
        return [bool(spans) for spans in self.answers]

    def __len__(self) -> int:
        return len(self.questions)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """``{"question": …, "context": …, "answers": [(start, end), …]}``."""
        return {"question": self.questions[row], "context": self.contexts[row], "answers": self.answers[row]}

    def take(self, rows: Sequence[int]) -> Questions:
        """These rows, in this order."""
        return Questions(
            [self.questions[row] for row in rows],
            [self.contexts[row] for row in rows],
            [self.answers[row] for row in rows],
        )

    def texts(self, row: int) -> list[str]:
        """The answers of a row as text."""
        return [self.contexts[row][start:end] for start, end in self.answers[row]]


def flattened(table: Table) -> Table:
    """SQuAD's nested JSON, as published, as one row a question; another table as it is.

    Raises:
        AdaptError: an article or a paragraph is not of the published form.
    """
    if "paragraphs" not in table.columns:
        return table
    found: dict[str, list[Any]] = {name: [] for name in ("id", "title", "context", "question", "answers")}
    impossible: list[Any] = []
    titles = table.columns.get("title", [None] * len(table))
    for article, (title, paragraphs) in enumerate(zip(titles, table.columns["paragraphs"], strict=True)):
        for paragraph, part in enumerate(_list(paragraphs, f"{table.source}, article {article + 1}", "paragraphs")):
            place = f"{table.source}, article {article + 1}, paragraph {paragraph + 1}"
            questions = _list(part.get("qas"), place, "qas")
            if not isinstance(part.get("context"), str):
                raise AdaptError(f"{place} has no text under 'context'.", "Give it the text that holds the answers.")
            for question in questions:
                for name, value in (("title", title), ("context", part["context"])):
                    found[name].append(value)
                for name in ("id", "question", "answers"):
                    found[name].append(question.get(name))
                impossible.append(question.get("is_impossible"))
    columns = {**found, **({"is_impossible": impossible} if any(each is not None for each in impossible) else {})}
    return Table(f"{table.source} (rows are its questions)", columns, len(impossible))


def read_answers(table: Table, name: str, contexts: Sequence[str]) -> list[Spans]:
    """Where the answers of every row stand in its context.

    A row's answers are lists of texts and of starts (``{"text": […], "answer_start": […]}``), or a list of mappings
    with one of each; in a file of text cells either as JSON.

    Raises:
        UsageError: there is no such column.
        AdaptError: a row's answers have another form, an answer is blank, or it does not stand in the context where
            ``answer_start`` says; names the rows.
    """
    read = [_pairs(value) for value in column(table, name)]
    what = f"{table.source}: column {name!r}"
    _refuse(
        table,
        [row for row, pairs in enumerate(read) if isinstance(pairs, str)],
        lambda rows, first: f"{what} at {rows}: {read[first]}",
        f"Write them as {FORM}, with empty lists where a question has no answer.",
    )
    answers = [pairs for pairs in read if not isinstance(pairs, str)]
    spans: list[Spans] = [[(start, start + len(text)) for text, start in pairs] for pairs in answers]
    wrong = [
        row
        for row, pairs in enumerate(answers)
        if any(start < 0 or not contexts[row].startswith(text, start) for text, start in pairs)
    ]
    _refuse(
        table,
        wrong,
        lambda rows, first: (
            f"{what} has answers that do not stand in their context at answer_start, at {rows} "
            f"({len(wrong)} of {len(table)} rows): {_misplaced(answers[first], contexts[first])}"
        ),
        "answer_start counts characters of the context, not bytes or words, from 0. Correct it, or remove the rows.",
    )
    _require_no_contradiction(table, spans)
    return spans


def read_ids(table: Table, name: str) -> list[str]:
    """The ids of questions.

    Raises:
        AdaptError: an id is missing, neither text nor a number, or given twice; names the rows.
    """
    values = column(table, name)
    _refuse(
        table,
        [row for row, value in enumerate(values) if isinstance(value, bool) or not isinstance(value, str | int)
         or not str(value).strip()],
        lambda rows, first: f"{table.source}: column {name!r} has no id at {rows}, but {shortened(values[first])}.",
        "Give every question an id, or none: dataset.id_column names the column.",
    )  # fmt: skip
    first_at: dict[str, int] = {}
    again = [row for row, value in enumerate(values) if first_at.setdefault(str(value), row) != row]
    _refuse(
        table,
        again,
        lambda rows, first: (
            f"{table.source}: the id {values[first]!r} stands at "
            f"{table.place([first_at[str(values[first])], first])}; ids that have stood before: {rows}."
        ),
        "Remove rows that are there twice, or give every question its own id.",
    )
    return [str(value) for value in values]


def _pairs(value: Any) -> list[tuple[str, int]] | str:
    """Answers as pairs of text and start, or what is wrong with them."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except (ValueError, RecursionError):
            return f"{shortened(value)} is not JSON."
    if value is None:
        return "there are no answers, not even an empty list."
    if isinstance(value, Mapping):
        texts, starts = value.get("text"), value.get("answer_start")
        if not isinstance(texts, list) or not isinstance(starts, list):
            return f"it needs lists under 'text' and 'answer_start', and is {shortened(value)}."
    elif isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
        if any(not {"text", "answer_start"} <= each.keys() for each in value):
            return f"each answer needs 'text' and 'answer_start', and they are {shortened(value)}."
        texts, starts = ([each[key] for each in value] for key in ("text", "answer_start"))
    else:
        return f"{shortened(value)} is neither a mapping nor a list of them."
    if len(texts) != len(starts):
        return f"there are {len(texts)} texts and {len(starts)} values of answer_start."
    for text, start in zip(texts, starts, strict=True):
        if not isinstance(text, str) or not text.strip():
            return f"the answer {shortened(text)} is not text, or blank."
        if isinstance(start, bool) or not isinstance(start, int):
            return f"answer_start is {shortened(start)}, and not a whole number."
    return list(zip(texts, starts, strict=True))


def _misplaced(pairs: Sequence[tuple[str, int]], context: str) -> str:
    """What is wrong with the first misplaced answer."""
    text, start = next((t, s) for t, s in pairs if s < 0 or not context.startswith(t, s))
    found = context.find(text)
    there = f"stands at {found} instead" if found >= 0 else "is nowhere in it"
    at = shortened(context[start : start + len(text)]) if start >= 0 else "nothing"
    return f"{shortened(text)} is said to start at {start}, where there is {at}; it {there}."


def _require_no_contradiction(table: Table, spans: Sequence[Spans]) -> None:
    """SQuAD 2.0 says twice whether a question has an answer."""
    flags = table.columns.get("is_impossible")
    if flags is None:
        return
    said = [{"true": True, "false": False}.get(str(flag).lower()) for flag in flags]
    _refuse(
        table,
        [row for row, flag in enumerate(said) if flag is not None and flag == bool(spans[row])],
        lambda rows, first: (
            f"{table.source}: is_impossible is {str(said[first]).lower()} at {rows}, and there are "
            f"{len(spans[first])} answers."
        ),
        "A question that is impossible has an empty list of answers, and any other has at least one.",
    )


def _list(value: Any, place: str, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise AdaptError(
            f"{place} has no list of mappings under {name!r}.",
            'SQuAD\'s form is {"data": [{"title": …, "paragraphs": [{"context": …, "qas": [{"id": …, "question": …, '
            '"answers": [{"text": …, "answer_start": …}]}]}]}]}.',
        )
    return value


def _refuse(table: Table, rows: Sequence[int], message: Callable[[str, int], str], hint: str) -> None:
    """Raises AdaptError for rows, if there are any; the message is made of their place and of the first of them."""
    if rows:
        raise AdaptError(message(table.place(rows), rows[0]), hint)
