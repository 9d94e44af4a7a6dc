"""Questions, contexts and answers out of a table, every one of them checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from adapt_core.errors import AdaptError
from adapt_core.utils.units import shortened
from adapt_nlp.data.columns import column
from adapt_nlp.data.sample import hashes_of
from adapt_nlp.data.table import Table, joined
from adapt_nlp.data.views import BATCH, derived, failing, pick

SQUAD = {"question": "question", "context": "context", "answers": "answers", "id": "id"}
"""Columns of SQuAD's nested JSON, once it is a table."""

NESTED = " (rows are its questions)"
"""What the name of such a table ends with."""

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

    def take(self, rows: Any) -> Questions:
        """These rows, in this order."""
        return Questions(pick(self.questions, rows), pick(self.contexts, rows), pick(self.answers, rows))

    def texts(self, row: int) -> list[str]:
        """The answers of a row as text."""
        return [self.contexts[row][start:end] for start, end in self.answers[row]]


def flattened(table: Table) -> Table:
    """SQuAD's nested JSON, as published, as one row a question; another table as it is.

    Raises:
        AdaptError: an article or a paragraph is not of the published form.
    """
    return joined(questions_source(table), list(question_parts(table))) if is_nested(table) else table


def is_nested(table: Table) -> bool:
    """Whether a table holds SQuAD's articles."""
    return "paragraphs" in table.columns


def questions_source(table: Table) -> str:
    """What the questions of articles are called."""
    return table.source + NESTED


def question_parts(table: Table) -> Iterator[Table]:
    """The questions of articles, some at a time. Raises AdaptError; see :func:`flattened`."""
    names = ("id", "title", "context", "question", "answers", "is_impossible")
    found: dict[str, list[Any]] = {name: [] for name in names}
    first = 0
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
                for name in ("id", "question", "answers", "is_impossible"):
                    found[name].append(question.get(name))
        if len(found["id"]) >= BATCH:
            yield Table(questions_source(table), found, len(found["id"]), first=first)
            first += len(found["id"])
            found = {name: [] for name in names}
    if found["id"] or not first:
        yield Table(questions_source(table), found, len(found["id"]), first=first)


def read_answers(table: Table, name: str, contexts: Sequence[str]) -> Sequence[Spans]:
    """Where the answers of every row stand in its context.

    A row's answers are lists of texts and of starts (``{"text": […], "answer_start": […]}``), or a list of mappings
    with one of each; in a file of text cells either as JSON.

    Raises:
        UsageError: there is no such column.
        AdaptError: a row's answers have another form, an answer is blank, or it does not stand in the context where
            ``answer_start`` says; names the rows.
    """
    read = derived(_pairs, column(table, name))
    what = f"{table.source}: column {name!r}"
    malformed, wrong = failing(
        zip(read, contexts, strict=True), lambda both: isinstance(both[0], str), lambda both: _is_misplaced(*both)
    )
    _refuse(
        table,
        malformed,
        lambda rows, first: f"{what} at {rows}: {read[first]}",
        f"Write them as {FORM}, with empty lists where a question has no answer.",
    )
    _refuse(
        table,
        wrong,
        lambda rows, first: (
            f"{what} has answers that do not stand in their context at answer_start, at {rows} "
            f"({len(wrong)} of {len(table)} rows): {_misplaced(cast(Any, read[first]), contexts[first])}"
        ),
        "answer_start counts characters of the context, not bytes or words, from 0. Correct it, or remove the rows.",
    )
    spans = derived(_spans, read)
    _require_no_contradiction(table, spans)
    return spans


def _spans(pairs: Sequence[tuple[str, int]]) -> Spans:
    return [(start, start + len(text)) for text, start in pairs]


def _is_misplaced(pairs: Sequence[tuple[str, int]], context: str) -> bool:
    return any(start < 0 or not context.startswith(text, start) for text, start in pairs)


def read_ids(table: Table, name: str) -> None:
    """Checks the ids of questions.

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
    # Hashes take little memory; an id is looked at itself only where another has its hash.
    hashes = hashes_of(map(str, values))
    _, code, count = np.unique(hashes, return_inverse=True, return_counts=True)
    first_at: dict[str, int] = {}
    suspects = np.flatnonzero(count[code] > 1).tolist()
    again = [row for row in suspects if first_at.setdefault(str(values[row]), row) != row]
    _refuse(
        table,
        again,
        lambda rows, first: (
            f"{table.source}: the id {values[first]!r} stands at "
            f"{table.place([first_at[str(values[first])], first])}; ids that have stood before: {rows}."
        ),
        "Remove rows that are there twice, or give every question its own id.",
    )


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
    said = derived(_truth, flags)
    both = zip(said, spans, strict=True)
    _refuse(
        table,
        [row for row, (flag, own) in enumerate(both) if flag is not None and flag == bool(own)],
        lambda rows, first: (
            f"{table.source}: is_impossible is {str(said[first]).lower()} at {rows}, and there are "
            f"{len(spans[first])} answers."
        ),
        "A question that is impossible has an empty list of answers, and any other has at least one.",
    )


def _truth(flag: Any) -> bool | None:
    return {"true": True, "false": False}.get(str(flag).lower())


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
