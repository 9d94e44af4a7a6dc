"""Text generation with the methods of most use, each from a run to a merged model that transformers loads."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import adapt_core

ROOT = Path(__file__).parent.parent

METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": {"name": "full"}, "training": {"lr": 5e-3}},
    "lora": {"method": {"name": "lora", "r": 16, "dropout": 0.0}, "training": {"lr": 2e-2}},
    "ssf": {"method": {"name": "ssf"}, "training": {"lr": 3e-2}},
    "qlora": {
        "method": {"name": "lora", "r": 16, "dropout": 0.0},
        "training": {"lr": 2e-2},
        "quantization": {"name": "bnb_4bit", "compute_dtype": "float32"},
    },
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "adapt-nlp" / "tests")
        import tiny_language_model

    return tiny_language_model


@pytest.mark.parametrize("name", METHODS)
def test_a_run_is_evaluated_used_merged_and_loaded_by_transformers(name: str, tiny: ModuleType, tmp_path: Path) -> None:
    model, run = tiny.write_llama(tmp_path / "model"), tmp_path / "run"
    data = tiny.write_split(tmp_path / "data", "prompt_completion")
    task = {"completion_only": True, "packing": name != "ssf"}
    result = adapt_core.run(tiny.configuration(model, data, run, task=task, **METHODS[name]))
    metrics = result["metrics"]
    assert result["reload_difference"]["model"] <= 1e-6
    assert metrics["perplexity"] == pytest.approx(math.exp(metrics["loss"]))
    before = next(line for line in adapt_core.load_run(run).folder.read_metrics() if "eval_perplexity" in line)
    assert before["step"] == 0
    assert metrics["perplexity"] < 0.5 * before["eval_perplexity"]

    again = adapt_core.evaluate_run(run)["metrics"]
    assert again == pytest.approx({key: metrics[key] for key in again}, abs=1e-5)
    prompts = [f"What colour is {thing}?" for thing in tiny.FACTS]
    said = [each["generated"] for each in adapt_core.load_run(run).predict(prompts, max_new_tokens=12)]
    if name == "full":
        loaded = AutoModelForCausalLM.from_pretrained(run / "model")
        tokenizer = AutoTokenizer.from_pretrained(run / "model")
    else:
        adapt_core.merge_run(run, tmp_path / "merged")
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    found = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt")
        with torch.no_grad():
            ids = loaded.generate(**inputs, max_new_tokens=12)
        found.append(tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    assert found == said
    if name in ("full", "lora"):
        assert said == [f" It is {colour}." for colour in tiny.FACTS.values()]
