"""Question answering with a pretrained encoder on real data: the examples, and methods on whole and on 4-bit bases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapt_core.plan.build import check

EXAMPLES = Path(__file__).parents[1] / "examples" / "question_answering"

pytestmark = pytest.mark.e2e


@pytest.fixture
def data(test_data: Path) -> Path:
    return test_data / "question_answering" / "squad_xquad_en"


def few_steps(name: str, data: Path, minilm: Path, folder: Path, **changes: Any) -> Path:
    """The example of a name as a file for a few steps on other data, with the model from its package."""
    made = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    made |= {"model": {"path": str(minilm)}, "output_dir": str(folder / "run")}
    made["dataset"] = {"path": str(data), "max_train_samples": 40, "max_eval_samples": 20}
    made["task"] |= {"max_length": 160, "doc_stride": 64}
    made["training"] |= {"max_steps": 3, "batch_size": 4}
    (folder / "run.yaml").write_text(yaml.safe_dump(made | changes))
    return folder / "run.yaml"


def nested(source: Path, target: Path, every: int) -> None:
    """Rows as SQuAD's nested JSON, one in so many of them without its answer."""
    articles = []
    for number, line in enumerate(source.read_text().splitlines()[:80]):
        row = json.loads(line)
        texts = [] if number % every == 0 else list(zip(*row["answers"].values(), strict=True))
        answers = [{"text": text, "answer_start": start} for text, start in texts]
        asked = {"id": row["id"], "question": row["question"], "answers": answers, "is_impossible": not answers}
        articles.append({"title": row["title"], "paragraphs": [{"context": row["context"], "qas": [asked]}]})
    target.write_text(json.dumps({"version": "v2.0", "data": articles}))


@pytest.mark.usefixtures("no_reload")
def test_the_example_of_squad(data: Path, minilm: Path, tmp_path: Path, adapt: Any) -> None:
    assert [problem.key for problem in check(EXAMPLES / "squad.yaml")] == ["dataset.path"], "the data alone are missing"
    result = adapt("run", str(few_steps("squad", data, minilm, tmp_path)))
    assert 0 <= result["metrics"]["exact_match"] <= result["metrics"]["f1"] < 1
    context = "Ada Lovelace was born in London."
    (found,) = adapt("predict", str(tmp_path / "run"), json.dumps({"question": "Where?", "context": context}))
    assert context[found["start"] : found["end"]] == found["answer"]


@pytest.mark.usefixtures("no_reload")
def test_the_example_of_squad_2(data: Path, minilm: Path, tmp_path: Path, adapt: Any) -> None:
    assert [problem.key for problem in check(EXAMPLES / "squad_v2.yaml")] == ["dataset.path"], (
        "the data alone are missing"
    )
    (tmp_path / "data").mkdir()
    for split in ("train", "validation"):
        nested(data / f"{split}.jsonl", tmp_path / "data" / f"{split}.json", every=3)
    result = adapt("run", str(few_steps("squad_v2", tmp_path / "data", minilm, tmp_path)))
    assert {"has_answer_f1", "no_answer_exact_match"} <= set(result["metrics"])


@pytest.mark.parametrize(
    "changes",
    [
        {"method": {"name": "full"}},
        {"method": {"name": "lora"}},
        {"method": {"name": "ssf"}},
        {"method": {"name": "lora"}, "quantization": {"name": "bnb_4bit", "compute_dtype": "float32"}},
    ],
    ids=["full", "lora", "ssf", "qlora"],
)
def test_a_run_is_evaluated_used_merged_and_loaded(
    changes: dict[str, Any], data: Path, minilm: Path, tmp_path: Path, adapt: Any
) -> None:
    result = adapt("run", str(few_steps("squad", data, minilm, tmp_path, save="none", **changes)))
    assert result["reload_difference"]["model"] == pytest.approx(0.0, abs=1e-5)
    again = adapt("eval", str(tmp_path / "run"))
    assert again["metrics"]["f1"] == pytest.approx(result["metrics"]["f1"])
    row = json.loads((data / "validation.jsonl").read_text().splitlines()[0])
    asked = json.dumps({name: row[name] for name in ("question", "context")})
    (found,) = adapt("predict", str(tmp_path / "run"), asked)
    assert row["context"][found["start"] : found["end"]] == found["answer"]
    if changes["method"]["name"] == "full":
        return
    merged = adapt("merge", str(tmp_path / "run"), "--output", str(tmp_path / "merged"))
    assert merged["difference"] <= merged["tolerance"] * max(merged["largest_output"], 1)
    from transformers import AutoModelForQuestionAnswering

    AutoModelForQuestionAnswering.from_pretrained(tmp_path / "merged")
