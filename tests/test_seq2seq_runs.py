"""Summarization and translation with the methods of most use, each from a run to a model that transformers loads."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

import adapt_core
from adapt_core.errors import AdaptError

ROOT = Path(__file__).parent.parent

LORA = {"name": "lora", "r": 16, "dropout": 0.0}
METHODS: dict[str, dict[str, Any]] = {
    "full": {},
    "lora": {"method": LORA, "training": {"epochs": 25}},
    "ssf": {"method": {"name": "ssf"}, "training": {"lr": 3e-2, "epochs": 25}},
    "qlora": {
        "method": LORA,
        "training": {"epochs": 25},
        "quantization": {"name": "bnb_4bit", "compute_dtype": "float32"},
    },
}
TASKS = {"t5": "translation", "bart": "summarization"}


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "adapt-nlp" / "tests")
        import tiny_seq2seq

    return tiny_seq2seq


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("name", METHODS)
def test_a_run_is_evaluated_used_merged_and_loaded_by_transformers(
    name: str, kind: str, tiny: ModuleType, tmp_path: Path
) -> None:
    task, run = TASKS[kind], tmp_path / "run"
    rows = tiny.PHRASES if task == "translation" else tiny.DOCUMENTS
    data = tiny.write_split(tmp_path / "data", rows)
    model = tiny.MODELS[kind](tmp_path / "model")
    changes = {**METHODS[name], "task": {"eval_metric": "sacrebleu"}}
    result = adapt_core.run(tiny.configuration(task, model, data, run, **changes))
    metrics = result["metrics"]
    assert set(metrics) == {"train_loss", "loss", "bleu", "chrf"}
    assert metrics["loss"] < 1 if name == "ssf" else metrics["chrf"] > 90

    again = adapt_core.evaluate_run(run)["metrics"]
    assert again == pytest.approx({key: metrics[key] for key in again}, abs=1e-4)
    texts = [row["translation"]["en"] if task == "translation" else row["document"] for row in rows]
    wanted = [row["translation"]["sv"] if task == "translation" else row["summary"] for row in rows]
    answer = "translation" if task == "translation" else "summary"
    loaded = adapt_core.load_run(run)
    said = [each[answer] for each in loaded.predict(texts)]
    if name in ("full", "lora"):
        assert said == wanted

    if (name, kind) == ("ssf", "t5"):  # whose linear layers have no biases: an ordinary T5 cannot hold the shifts
        with pytest.raises(AdaptError, match="parameters that its architecture lacks"):
            adapt_core.merge_run(run, tmp_path / "merged")
        return
    folder = run / "model"
    if name != "full":
        merged = adapt_core.merge_run(run, tmp_path / "merged")
        assert merged["difference"] <= merged["tolerance"] * max(merged["largest_output"], 1)
        folder = tmp_path / "merged"
    whole = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = []
    for text in texts:
        inputs = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            ids = whole.generate(inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=24)
        found.append(tokenizer.decode(ids[0], skip_special_tokens=True))
    assert found == said


@pytest.mark.e2e
@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize(
    ("kind", "task", "metric"), [("t5", "summarization", "rouge"), ("bart", "translation", "bleu")]
)
def test_sixty_four_real_pairs_are_learnt_by_heart(
    kind: str, task: str, metric: str, tiny: ModuleType, test_data: Path, tmp_path: Path
) -> None:
    name = {"summarization": "scitldr", "translation": "tatoeba_en_sv"}[task]
    lines = (test_data / task / name / "train.jsonl").read_text(encoding="utf-8").splitlines()[:64]
    rows = [json.loads(line) for line in lines]
    if task == "summarization":  # a beginning tells an abstract from the others
        rows = [{"document": row["document"][:60], "summary": row["summary"][:40]} for row in rows]
    data = tiny.write_split(tmp_path / "data", rows, times=1)
    changes = {
        "task": {"eval_metric": metric, "max_target_length": 100, "generation_max_length": 100},
        "training": {"lr": 5e-3, "epochs": 120, "batch_size": 16, "scheduler": "linear"},
    }
    if kind == "bart":
        changes["training"] |= {"lr": 3e-3, "epochs": 60}
    model = tiny.MODELS[kind](tmp_path / "model")
    result = adapt_core.run(tiny.configuration(task, model, data, tmp_path / "run", **changes))
    assert result["metrics"]["rougeL" if metric == "rouge" else "bleu"] > 90
