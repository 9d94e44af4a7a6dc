"""Two processes train the quickstart's task as one does: a pretrained encoder, texts of unequal length, LoRA."""

from __future__ import annotations

import importlib
import json
import os
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

import adapt_core

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[1]
TWINS = ROOT / "adapt-core" / "tests" / "twins"
ROWS, STEPS = 43, 3


@pytest.fixture
def twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs the launcher of two processes that the core's tests use."""
    monkeypatch.syspath_prepend(ROOT / "adapt-core" / "tests")
    site = tmp_path / "site"
    modules = {name: (TWINS / f"{name}.py").read_text() for name in ("twins_plugin", "twins_launcher")}
    importlib.import_module("fake_distributions").install(site, "twins", "1.0", modules, {"twins": "twins_plugin"})
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)


@pytest.fixture
def config(minilm: Path, tmp_path: Path) -> dict[str, Any]:
    """43 rows in batches of 16, the last of 11; the model without dropout, which two processes draw differently."""
    # By path and not by name: a module that stays would be found by the tests that come after.
    runpy.run_path(str(ROOT / "examples" / "quickstart" / "stdlib_docs.py"))["write"](tmp_path / "data")
    model = tmp_path / "model"
    shutil.copytree(minilm, model)
    settings = json.loads((model / "config.json").read_text())
    settings |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (model / "config.json").write_text(json.dumps(settings))
    return {
        "task": {"name": "text_classification", "max_length": 64},
        "model": {"path": str(model)},
        "dataset": {"path": str(tmp_path / "data"), "max_train_samples": ROWS, "max_eval_samples": 17},
        "method": {"name": "lora", "dropout": 0.0},
        "training": {"epochs": 1, "lr": 5e-4, "num_workers": 0, "logging_steps": 1},
    }


@pytest.mark.usefixtures("twins", "no_reload")
@pytest.mark.parametrize("by_length", [False, True], ids=["in any order", "grouped by length"])
def test_the_loss_of_every_step_and_the_metrics_are_those_of_one_process(
    config: dict[str, Any], tmp_path: Path, by_length: bool
) -> None:
    def run(name: str, batch: int, **launch: str) -> tuple[list[float], dict[str, float]]:
        training = {**config["training"], "batch_size": batch, "group_by_length": by_length}
        result = adapt_core.run({**config, "training": training, "output_dir": str(tmp_path / name), **launch})
        lines = map(json.loads, (tmp_path / name / "metrics.jsonl").read_text().splitlines())
        return [line["loss"] for line in lines if "loss" in line], result["metrics"]

    expected, metrics = run("one", 16)
    found, measured = run("two", 8, launch="twins")
    assert len(expected) == STEPS
    assert found == pytest.approx(expected, abs=2e-5)
    assert measured == pytest.approx(metrics, abs=2e-5)
