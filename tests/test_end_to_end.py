"""Real data and a real pretrained encoder, from a flat configuration file to predictions by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e


def test_banking_intents_by_name(test_data: Path, minilm: Path, tmp_path: Path, adapt: Any) -> None:
    """77 intents from a CSV file with integer labels and a file of their names, in the tables' own flat names."""
    data = test_data / "text_classification" / "banking77"
    names = json.loads((data / "labels.json").read_text())
    config, run = tmp_path / "banking.yaml", tmp_path / "run"
    config.write_text(
        f"""\
TASK: text_classification
LOCAL_MODEL_PATH: {minilm}
CUSTOM_DATASET_PATH: {data}
method: LoRA
LR: 2e-3
EPOCHS: 1
BATCH_SIZE: 16
NUM_WORKERS: 0
SAVE_METHOD: safetensors
OUTPUT_DIR: {run}
dataset:
  label_names: {data / "labels.json"}
"""
    )
    assert adapt("check", str(config))["ok"]
    result = adapt("run", str(config))
    assert result["metrics"]["accuracy"] > 10 / 77
    assert result["reload_difference"]["model"] == 0.0
    (prediction,) = adapt("predict", str(run), "Where is my new card?")
    assert prediction["label"] in names
    assert set(prediction["scores"]) == set(names)
    test = adapt("eval", str(run), "--split", "test")
    assert test["rows"] == 462
    assert test["metrics"]["accuracy"] > 10 / 77
    assert names[0] in (run / "report.html").read_text()
