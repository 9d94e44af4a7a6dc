"""Question answering from a file to a used model, with a tiny encoder built on the spot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import adapt_core
from adapt_core.errors import AdaptError, ConfigError
from adapt_core.testing import TaskContract

CONTEXT = "rain sun piano drum soup"
ROW = {"question": "the song", "context": CONTEXT}
WITHOUT = {"question": "the song", "context": "rain sun the soup"}


class TestAnswerContract(TaskContract):
    @pytest.fixture
    def configuration(self, answering: dict[str, Any]) -> dict[str, Any]:
        return {**answering, "method": "lora", "training": {**answering["training"], "max_steps": 3}}


def test_lora_learns_what_there_is_to_learn(answered_run: Path) -> None:
    result = json.loads((answered_run / "result.json").read_text())
    assert set(result["metrics"]) == {
        "train_loss", "loss", "exact_match", "f1", "has_answer_exact_match", "has_answer_f1", "no_answer_exact_match",
    }  # fmt: skip
    assert result["metrics"]["f1"] > 0.8
    assert result["reload_difference"] == {"model": 0.0, "export": pytest.approx(0.0, abs=1e-4)}


def test_answers_come_with_their_places_and_scores(answered_run: Path) -> None:
    found, none = adapt_core.load_run(answered_run).predict([ROW, WITHOUT], n_best=3)
    assert (found["answer"], found["start"], found["end"]) == ("piano drum", 9, 19)
    assert len(found["n_best"]) == 3
    assert found["n_best"][0] == {name: found[name] for name in ("answer", "start", "end", "score")}
    scores = [each["score"] for each in found["n_best"]]
    assert scores == sorted(scores, reverse=True)
    for each in found["n_best"]:
        assert CONTEXT[each["start"] : each["end"]] == each["answer"]
    assert sum(scores) + found["no_answer_score"] <= 1 + 1e-6
    assert (none["answer"], none["start"], none["end"], none["score"]) == ("", None, None, none["no_answer_score"])


def test_the_threshold_decides_between_an_answer_and_none(answered_run: Path) -> None:
    run = adapt_core.load_run(answered_run)
    assert [each["answer"] for each in run.predict([ROW, WITHOUT], null_threshold=-1e6)] == ["", ""]
    assert all(each["answer"] for each in run.predict([ROW, WITHOUT], null_threshold=1e6))
    with pytest.raises(ConfigError, match="n_best"):
        run.predict([ROW], n_best=0)


def test_the_report_marks_answers_beside_those_of_the_data(answered_run: Path) -> None:
    page = (answered_run / "report.html").read_text()
    for part in ("Sample predictions", '<ul class="spans">', "<small>predicted</small>", "the song"):
        assert part in page


def test_data_json_says_what_was_trained_on(answered_run: Path) -> None:
    info = json.loads((answered_run / "data.json").read_text())
    assert sum(info["rows"].values()) == 160
    assert info["columns"] == {"question": "question", "context": "context", "answers": "answers", "id": "id"}
    assert info["unanswerable"] is True
    assert sum(info["answers"].values()) == info["rows"]["train"]
    assert info["windows"]["training"] == info["rows"]["train"], "every context fits into a window"
    assert info["notices"] == []


def test_other_data_can_be_evaluated_on(answered_run: Path, questions: Path, tmp_path: Path) -> None:
    found = adapt_core.evaluate_run(answered_run, data=str(questions))
    assert found["rows"] == 160
    assert found["metrics"]["f1"] > 0.8
    rows = [json.loads(line) for line in questions.read_text().splitlines()]
    articles = [
        {
            "title": "T",
            "paragraphs": [
                {
                    "context": row["context"],
                    "qas": [
                        {
                            "id": row["id"],
                            "question": row["question"],
                            "answers": [
                                {"text": text, "answer_start": start}
                                for text, start in zip(*row["answers"].values(), strict=True)
                            ],
                        }
                    ],
                }
                for row in rows
            ],
        }
    ]
    (tmp_path / "squad.json").write_text(json.dumps({"version": "v2.0", "data": articles}))
    nested = adapt_core.evaluate_run(answered_run, data=str(tmp_path / "squad.json"))
    assert nested["metrics"] == pytest.approx(found["metrics"])


def test_a_merged_run_answers_alike(answered_run: Path, tmp_path: Path) -> None:
    found = adapt_core.merge_run(answered_run, output=str(tmp_path / "merged"))
    assert found["difference"] <= found["tolerance"] * found["largest_output"]


def test_files_are_answered(answered_run: Path, tmp_path: Path, adapt: Any) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps({"id": 7, **ROW}) + "\n")
    (tmp_path / "in.csv").write_text(f"id,question,context\n7,the song,{CONTEXT}\n")
    qas = [{"id": 7, "question": "the song"}]
    (tmp_path / "in.json").write_text(json.dumps({"data": [{"paragraphs": [{"context": CONTEXT, "qas": qas}]}]}))
    for name in ("in.jsonl", "in.csv", "in.json"):
        output = tmp_path / f"{name}-out.jsonl"
        adapt("predict", str(answered_run), "--input", str(tmp_path / name), "--output", str(output))
        (row,) = [json.loads(line) for line in output.read_text().splitlines()]
        assert (row["answer"], row["start"], row["end"]) == ("piano drum", 9, 19), name
        assert str(row["columns"]["id"]) == "7"
    (found,) = adapt("predict", str(answered_run), json.dumps(ROW))
    assert found["answer"] == "piano drum"


def test_inputs_without_a_context_are_refused(answered_run: Path, tmp_path: Path) -> None:
    run = adapt_core.load_run(answered_run)
    (tmp_path / "in.txt").write_text("the song\n")
    (tmp_path / "in.csv").write_text("question\nthe song\n")
    with pytest.raises(AdaptError, match="a question needs its context"):
        run.parse_inputs([], tmp_path / "in.txt")
    with pytest.raises(AdaptError, match="has no column 'context'"):
        run.parse_inputs([], tmp_path / "in.csv")
    with pytest.raises(AdaptError, match="reads 2 columns, question, context"):
        run.parse_inputs(["the song"])
    with pytest.raises(AdaptError, match=r"The question .* is too long"):
        run.predict([{**ROW, "question": "the " * 20}])


def test_the_cards_code_answers_as_adapt_predict_does(answered_run: Path) -> None:
    folder = answered_run / "model"
    long = "rain sun wind cloud storm snow rain sun wind cloud storm snow rain sun wind cloud piano drum soup"
    inside = adapt_core.load_run(answered_run).predict([{**ROW, "context": each} for each in (CONTEXT, long)])
    code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    for context, found in zip((CONTEXT, long), inside, strict=True):
        own = code.replace('"Where was Ada Lovelace born?"', '"the song"')
        own = own.replace('"Ada Lovelace was born in London."', repr(context))
        blocked = "import sys\nfor name in ('adapt_core', 'adapt_nlp'): sys.modules[name] = None\n"
        done = subprocess.run(
            [sys.executable, "-c", blocked + own], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.strip() == (found["answer"] or "no answer")
    assert inside[0]["answer"] == "piano drum"


def test_adapters_do_not_lose_which_tokens_are_the_question(answered_run: Path) -> None:
    run = adapt_core.load_run(answered_run)
    ids = run.model.processor("the song", CONTEXT, return_tensors="pt")
    with torch.no_grad():
        own = run.model.module(**ids).start_logits
        ids["token_type_ids"] = torch.zeros_like(ids["token_type_ids"])
        without = run.model.module(**ids).start_logits
    assert not torch.allclose(own, without, atol=1e-3)


def test_max_length_and_doc_stride_make_the_windows(quick_answers: Any, tmp_path: Path) -> None:
    shapes = {}
    for task in ({"max_length": 12, "doc_stride": 4}, {"max_length": 12, "doc_stride": 5}, {"doc_stride": 4}):
        quick_answers(task=task)
        run = adapt_core.load_run(tmp_path / "quick")
        row = {**ROW, "context": "rain sun wind cloud storm snow bread cheese soup apple"}
        (scores,) = run.task.outputs(run.model, [row], run.info)
        shapes[tuple(task.values())] = scores.shape
    # Five tokens a window are not of the context: of its ten, a window of 12 has seven. Windows begin at 0 and 3, or at
    # 0, 2 and 4.
    assert shapes == {(12, 4): (24, 2), (12, 5): (5 * 3 + 7 + 7 + 6, 2), (4,): (15, 2)}


def test_max_answer_length_bounds_answers(quick_answers: Any, answered_run: Path, tmp_path: Path) -> None:
    for longest in (1, 2):
        quick_answers(task={"max_answer_length": longest})
        (found,) = adapt_core.load_run(tmp_path / "quick").predict([ROW], n_best=20)
        assert max(len(each["answer"].split()) for each in found["n_best"]) == longest
    info = json.loads((tmp_path / "quick" / "data.json").read_text())
    assert any("an answer of more than 2 tokens (task.max_answer_length), which is not found" in each
               for each in info["notices"])  # fmt: skip


def test_max_train_samples_and_max_eval_samples_bound_rows(quick_answers: Any, tmp_path: Path) -> None:
    quick_answers(dataset={"max_train_samples": 20, "max_eval_samples": 4})
    rows = json.loads((tmp_path / "quick" / "data.json").read_text())["rows"]
    assert (rows["train"], rows["validation"]) == (20, 4)


def test_n_best_and_unanswerable_shape_predictions(quick_answers: Any, questions: Path, tmp_path: Path) -> None:
    kept = [line for line in questions.read_text().splitlines() if '"text": []' not in line]
    (tmp_path / "answered.jsonl").write_text("\n".join(kept))
    dataset = {"path": str(tmp_path / "answered.jsonl")}
    result = quick_answers(dataset=dataset, task={"n_best": 2})
    assert not {"no_answer_exact_match", "has_answer_f1"} & set(result["metrics"])
    (found,) = adapt_core.load_run(tmp_path / "quick").predict([WITHOUT], n_best=9)
    assert found["answer"]
    assert "no_answer_score" not in found
    assert len(found["n_best"]) == 2
    assert sum(each["score"] for each in found["n_best"]) == pytest.approx(1)
    with pytest.raises(AdaptError, match="questions without an answer"):
        adapt_core.evaluate_run(tmp_path / "quick", data=str(questions))
    result = quick_answers(dataset=dataset, task={"unanswerable": True, "null_threshold": -1e6})
    assert result["metrics"]["has_answer_f1"] == 0, "with this threshold none is given"
    (found,) = adapt_core.load_run(tmp_path / "quick").predict([ROW])
    assert found["answer"] == ""


def test_the_flat_names_of_the_table_are_read(answering: dict[str, Any], tmp_path: Path) -> None:
    from adapt_core.api import plan_of

    plan = plan_of(
        {
            "TASK": "question_answering",
            "LOCAL_MODEL_PATH": answering["model"]["path"],
            "CUSTOM_DATASET_PATH": answering["dataset"]["path"],
            "method": "LoRA",
            "OUTPUT_DIR": str(tmp_path / "run"),
            "MAX_TRAIN_SAMPLES": 1000,
            "MAX_EVAL_SAMPLES": 1000,
            "max_answer_length": 25,
            "max_length": 300,
            "doc_stride": 100,
        }
    )
    options: Any = plan.task.options
    assert (options.max_answer_length, options.max_length, options.doc_stride) == (25, 300, 100)
    assert (plan.dataset.max_train_samples, plan.dataset.max_eval_samples) == (1000, 1000)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"max_length": 8, "doc_stride": 8}, r"doc_stride \(8\) must be less than max_length \(8\)"),
        ({"max_length": 25}, r"task\.max_length: 25 tokens, but .* has 24 positions"),
        ({"doc_stride": 21}, r"task\.doc_stride: windows of 24 tokens have room for 21 of the text"),
        ({"doc_stride": 20}, r"questions are too long at lines 1, 2, 3, 4, 5 and 155 more"),
        ({"max_answer_length": 0}, "max_answer_length"),
    ],
)
def test_windows_that_cannot_be_are_refused(quick_answers: Any, task: dict[str, Any], message: str) -> None:
    with pytest.raises(AdaptError, match=message):
        quick_answers(task=task)


def test_answers_that_no_window_holds_are_told_and_not_learnt(quick_answers: Any, tmp_path: Path) -> None:
    words = "piano drum song choir tune violin piano drum song"
    long = {"question": "the song", "context": f"rain {words} soup", "answers": {"text": [words], "answer_start": [5]}}
    short = {"question": "the song", "context": "rain drum", "answers": {"text": ["drum"], "answer_start": [5]}}
    rows = [{**each, "context": each["context"] + " the" * number} for number in range(8) for each in (long, short)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    quick_answers(task={"max_length": 12, "doc_stride": 4}, dataset={"path": str(path)})
    info = json.loads((tmp_path / "quick" / "data.json").read_text())
    assert "training rows have an answer that lies in no window whole: windows share 4 tokens" in info["notices"][0]
    assert info["notices"][0].endswith("They are not trained on.")
    train, _ = adapt_core.inspect_data(
        {
            "task": {"name": "question_answering", "max_length": 12, "doc_stride": 4},
            "model": json.loads(json.dumps({"path": str(tmp_path / "quick" / "model")})),
            "dataset": {"path": str(path)},
            "method": "full",
        },
        examples=3,
    )
    assert set(train.labels) == {"answer in a window", "answer beyond every window"}
    assert train.limit == 12
    assert max(train.lengths) > 12
    marked = {text[a:b] for text, ranges, _ in train.examples[0].rows for a, b, mark in ranges if mark == "answer"}
    assert marked == {"drum"}
    with pytest.raises(AdaptError, match="No answer of the training rows lies in a window whole"):
        path.write_text("\n".join(json.dumps(row) for row in rows if len(row["answers"]["text"][0]) > 4))
        quick_answers(task={"max_length": 12, "doc_stride": 4}, dataset={"path": str(path)})


def test_a_long_context_is_read_in_windows(answered_run: Path) -> None:
    context = "rain sun wind cloud storm snow rain sun wind cloud storm snow rain sun wind cloud storm piano drum soup"
    run = adapt_core.load_run(answered_run)
    (scores,) = run.task.outputs(run.model, [{**ROW, "context": context}], run.info)
    words = context.split()
    # 24 tokens of which 5 are not of the context: windows of 19 words, which share 4.
    (first,) = run.task.outputs(run.model, [{**ROW, "context": " ".join(words[:19])}], run.info)
    (second,) = run.task.outputs(run.model, [{**ROW, "context": " ".join(words[15:])}], run.info)
    assert np.allclose(scores, np.concatenate([first, second]), atol=1e-5)


@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning", "prefix_tuning"])
def test_methods_that_put_tokens_before_the_input_are_refused(method: str, quick_answers: Any) -> None:
    with pytest.raises(ConfigError, match=f"the method {method} puts learned tokens before the input"):
        quick_answers(method={"name": method})


@pytest.mark.parametrize(
    "method",
    [
        {"name": "full"},
        {"name": "ssf"},
        {"name": "last_layer"},
        {"name": "vera"},
        {"name": "vera", "target_modules": "all-linear"},
        {"name": "lora", "target_modules": "all-linear"},
    ],
    ids=lambda method: " ".join(method.values()),
)
def test_methods_train_are_saved_and_merged(method: dict[str, Any], answering: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    training = {**answering["training"], "max_steps": 3}
    result = adapt_core.run({**answering, "method": method, "training": training, "output_dir": str(folder)})
    assert result["reload_difference"]["model"] == pytest.approx(0.0, abs=1e-5)
    assert adapt_core.evaluate_run(folder)["metrics"]["loss"] == pytest.approx(result["metrics"]["loss"], abs=1e-5)
    if method["name"] not in ("full", "last_layer"):
        found = adapt_core.merge_run(folder, output=str(tmp_path / "merged"))
        assert found["difference"] <= found["tolerance"] * max(found["largest_output"], 1)
