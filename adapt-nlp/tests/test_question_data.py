"""The data of question answering: its forms, what is refused, and which rows are for what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import adapt_core
from adapt_core.errors import AdaptError
from adapt_nlp.question_answering.data import QuestionRows, load_question_data
from adapt_nlp.question_answering.options import QuestionAnsweringData

CONTEXT = "rain sun piano drum soup"
GOOD = {"id": "a", "question": "the song", "context": CONTEXT, "answers": {"text": ["piano"], "answer_start": [9]}}


def answers(*texts: Any, starts: Sequence[Any] = (9,)) -> dict[str, Any]:
    return {"answers": {"text": list(texts), "answer_start": list(starts)}}


def written(folder: Path, rows: Sequence[Any], name: str = "rows.jsonl") -> str:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / name)


def nested(*questions: dict[str, Any], context: Any = CONTEXT) -> dict[str, Any]:
    return {"version": "v2.0", "data": [{"title": "T", "paragraphs": [{"context": context, "qas": list(questions)}]}]}


def load(path: str, unanswerable: bool | None = None, seed: int = 0, **options: Any) -> QuestionRows:
    return load_question_data(
        QuestionAnsweringData(path=path, **options), unanswerable, seed, too_long=lambda questions: []
    )


SECOND = {**GOOD, "id": "b", "context": "the " + CONTEXT, **answers("piano", starts=[13])}

BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no question": ({"question": None}, r"column 'question' is empty at line 2"),
    "blank question": ({"question": "  "}, r"column 'question' is empty at line 2"),
    "blank context": ({"context": ""}, r"column 'context' is empty at line 2"),
    "number as question": ({"question": 7}, r"'question' holds values that are not text at line 2"),
    "half a surrogate pair": ({"question": "\ud800"}, r"not valid Unicode at line 2"),
    "no answers": ({"answers": None}, r"'answers' at line 2: there are no answers, not even an empty list"),
    "answers as text": ({"answers": "piano"}, r"line 2: 'piano' is not JSON"),
    "answers as number": ({"answers": 3}, r"line 2: 3 is neither a mapping nor a list"),
    "list of texts": ({"answers": ["piano"]}, r"line 2: \['piano'\] is neither"),
    "no starts": ({"answers": {"text": ["piano"]}}, r"line 2: it needs lists under 'text' and 'answer_start'"),
    "text alone": ({"answers": {"text": "piano", "answer_start": 9}}, r"line 2: it needs lists"),
    "pair without start": ({"answers": [{"text": "piano"}]}, r"line 2: each answer needs 'text' and 'answer_start'"),
    "more texts than starts": (answers("piano", "drum"), r"line 2: there are 2 texts and 1 values of answer_start"),
    "blank answer": (answers(" "), r"line 2: the answer ' ' is not text, or blank"),
    "number as answer": (answers(5), r"line 2: the answer 5 is not text"),
    "start as text": (answers("piano", starts=["9"]), r"line 2: answer_start is '9', and not a whole number"),
    "start as truth": (answers("piano", starts=[True]), r"line 2: answer_start is True"),
    "negative start": (answers("piano", starts=[-15]), r"at line 2 .*said to start at -15"),
    "start elsewhere": (answers("piano", starts=[10]), r"at line 2 \(1 of 2 rows\): .*it stands at 13 instead"),
    "not in the context": (answers("violin"), r"at line 2 .*'violin'.*where there is 'sun pi'; it is nowhere in it"),
    "start behind the end": (answers("piano", starts=[900]), r"at line 2 .*where there is ''"),
    "other case": (answers("Piano"), r"at line 2 .*'Piano'"),
    "id twice": ({"id": "a"}, r"the id 'a' stands at lines 1, 2"),
    "no id": ({"id": None}, r"column 'id' has no id at line 2, but None"),
    "list as id": ({"id": [1]}, r"column 'id' has no id at line 2"),
    "impossible, with an answer": (
        {"is_impossible": True},
        r"is_impossible is true at line 2, and there are 1 answers",
    ),
    "possible, without": (
        {"is_impossible": False, "answers": {"text": [], "answer_start": []}},
        r"is_impossible is false at line 2, and there are 0 answers",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BROKEN.values(), ids=BROKEN)
def test_rows_that_cannot_be_learnt_are_refused_by_their_line(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(AdaptError, match=message) as refused:
        load(written(tmp_path, [GOOD, {**SECOND, **changes}]))
    assert refused.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (nested({"id": "a", "question": "q"}, context=None), "article 1, paragraph 1 has no text under 'context'"),
        ({"data": [{"title": "T", "paragraphs": "none"}]}, "article 1 has no list of mappings under 'paragraphs'"),
        ({"data": [{"paragraphs": [{"context": "c"}]}]}, "article 1, paragraph 1 has no list of mappings under 'qas'"),
        (nested({"id": "a", "question": "q", **answers("soup")}), r"rows are its questions.*at row 1"),
        (
            nested({"id": "a", "question": "q", "answers": [], "is_impossible": False}),
            "is_impossible is false at row 1",
        ),
    ],
)
def test_nested_data_of_another_form_is_refused_by_its_place(content: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(json.dumps(content))
    with pytest.raises(AdaptError, match=message):
        load(str(tmp_path / "train.json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"question_column": "ask"}, "has no column 'ask', which dataset.question_column names"),
        ({"id_column": "key"}, "has no column 'key', which dataset.id_column names"),
        ({"train_split": "learn"}, "has no split 'learn'"),
        ({"answers_column": "question"}, r"column 'question' at lines 1, 2: 'the song' is not JSON"),
    ],
)
def test_what_the_configuration_names_must_be_there(options: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(AdaptError, match=message):
        load(written(tmp_path, [GOOD, SECOND]), **options)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    for name in ("question", "context", "answers"):
        rows = [{key: value for key, value in GOOD.items() if key != name}]
        with pytest.raises(AdaptError, match=f"no column holds the {name}"):
            load(written(tmp_path, rows))


def test_rows_without_any_answer_are_refused(tmp_path: Path) -> None:
    none = {"text": [], "answer_start": []}
    with pytest.raises(AdaptError, match="none of the 1 training rows has an answer"):
        load(written(tmp_path, [{**GOOD, "answers": none}]))
    with pytest.raises(AdaptError, match=r"questions without an answer, at line 2 \(1 of 2 rows\)"):
        load(written(tmp_path, [GOOD, {**SECOND, "answers": none}]), unanswerable=False)


def test_one_context_cannot_be_held_out(tmp_path: Path) -> None:
    with pytest.raises(AdaptError, match="nothing can be held out: all 2 rows have one context"):
        load(written(tmp_path, [GOOD, {**GOOD, "id": "b"}]))


def test_questions_that_are_too_long_are_refused_by_their_line(answering: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path, [GOOD, {**SECOND, "question": "the " * 18}])
    with pytest.raises(AdaptError, match=r"questions are too long at line 2: .*no room for more of the context"):
        adapt_core.run({**answering, "dataset": {"path": path}, "output_dir": str(tmp_path / "run")})


def test_every_form_of_answers_is_read_alike(tmp_path: Path) -> None:
    pairs = [{"text": "piano", "answer_start": 9}, {"text": "piano drum", "answer_start": 9}]
    lists = answers("piano", "piano drum", starts=[9, 9])["answers"]
    forms = {
        "lists.jsonl": [{**GOOD, "answers": lists}],
        "pairs.jsonl": [{**GOOD, "answers": pairs}],
        "text.jsonl": [{**GOOD, "answers": json.dumps(lists)}],
    }
    paths = [written(tmp_path, rows, name) for name, rows in forms.items()]
    (tmp_path / "nested.json").write_text(json.dumps(nested({"id": "a", "question": "the song", "answers": pairs})))
    cell = json.dumps(lists).replace('"', '""')
    (tmp_path / "cells.csv").write_text(f'question,context,answers\nthe song,{CONTEXT},"{cell}"\n')
    for path in (*paths, str(tmp_path / "nested.json"), str(tmp_path / "cells.csv")):
        source = QuestionAnsweringData(path=path)
        rows = load_question_data(source, None, 0, evaluate=False, too_long=lambda questions: []).train
        assert rows[0] == {"question": "the song", "context": CONTEXT, "answers": [(9, 14), (9, 19)]}, path
        assert rows.texts(0) == ["piano", "piano drum"]


def test_squad_2_is_read_as_published(tmp_path: Path) -> None:
    with_answer = {
        "id": "a",
        "question": "q",
        "answers": [{"text": "drum", "answer_start": 15}],
        "is_impossible": False,
    }
    without = {"id": "b", "question": "r", "answers": [], "is_impossible": True,
               "plausible_answers": [{"text": "soup", "answer_start": 20}]}  # fmt: skip
    (tmp_path / "train.json").write_text(json.dumps(nested(with_answer, without)))
    (tmp_path / "dev.json").write_text(json.dumps(nested(without, {**with_answer, "id": "c"})))
    rows = load(str(tmp_path))
    assert (len(rows.train), len(rows.evaluation or ())) == (2, 2)
    assert list(rows.train.answers) == [[(15, 19)], []]
    assert rows.info["unanswerable"] is True
    assert rows.info["answers"] == {"with an answer": 1, "without": 1}


def test_questions_on_one_context_are_held_out_together(tmp_path: Path) -> None:
    contexts = [f"{'the ' * number}piano" for number in range(20)]
    rows = [
        {"question": f"q{number}", "context": context, **answers("piano", starts=[context.index("piano")])}
        for context in contexts
        for number in range(3)
    ]
    found = load(written(tmp_path, rows), validation_share=0.2)
    assert found.evaluation is not None
    assert len(found.evaluation) == 12, "a fifth of 60"
    assert not set(found.evaluation.contexts) & set(found.train.contexts)
    assert found.info["evaluation"] == "held out from split train"
    other = load(written(tmp_path, rows), seed=1, validation_share=0.2)
    assert set(other.train.contexts) != set(found.train.contexts), "the seed draws"


def test_fewer_rows_keep_the_share_without_an_answer(questions: Path) -> None:
    found = load(str(questions), max_train_samples=40, max_eval_samples=8)
    assert found.info["answers"] == {"with an answer": 30, "without": 10}
    assert len(found.evaluation or ()) == 8
