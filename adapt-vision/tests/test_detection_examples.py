"""The examples of object detection and its benchmark, on real images for a few steps."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import adapt_core

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "object_detection"


@pytest.fixture(scope="session")
def cells(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training and four validation images of BCCD."""
    source, folder = test_data / "object_detection" / "bccd", tmp_path_factory.mktemp("cells")
    (folder / "annotations").mkdir()
    for split, count in (("train", 8), ("val", 4)):
        content = json.loads((source / "annotations" / f"{split}.json").read_text())
        content["images"] = content["images"][:count]
        kept = {each["id"] for each in content["images"]}
        content["annotations"] = [each for each in content["annotations"] if each["image_id"] in kept]
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))
        (folder / split).mkdir()
        for each in content["images"]:
            shutil.copy(source / split / each["file_name"], folder / split)
    return folder


@pytest.mark.parametrize(("name", "model"), [("rt_detr", "rt_detr"), ("lora", "yolos"), ("flat", "detr")])
def test_the_examples_run(
    name: str, model: str, cells: Path, detectors: dict[str, Any], tmp_path: Path, no_reload: None
) -> None:
    # The models' own places in the examples are on the hub; these are tiny ones of the same families.
    changes = ["model.name=null", f"model.path={detectors[model]['path']}", f"output_dir={tmp_path / 'run'}"]
    few = ["training.max_steps=2", "training.batch_size=4", "training.num_workers=0", f"dataset.path={cells}"]
    result = adapt_core.run(EXAMPLES / f"{name}.yaml", [*changes, *few])
    assert result["steps"] == 2
    assert "ap50" in result["metrics"]
    info = adapt_core.load_run(tmp_path / "run").info
    assert info["label_names"] == ["RBC", "WBC", "Platelets"] and info["category_ids"] == [1, 2, 3]
    assert info["rows"] == {"train": 8, "validation": 4}


def test_a_hand_written_script_finds_the_same(
    cells: Path, detectors: dict[str, Any], tmp_path: Path, no_reload: None
) -> None:
    """Same weights, rows, settings and random numbers: the loss curve is equal, and so is average precision.

    Adapt evaluates after every epoch and the script does not: that changes no random number of training.
    """
    made = {
        "task": {"name": "object_detection", "augmentation": "none"},
        "model": detectors["detr"],
        "dataset": {"path": str(cells)},
        "method": {"name": "full"},
        "training": {"lr": 1e-4, "epochs": 3, "batch_size": 4, "num_workers": 0, "logging_steps": 1},
        "seed": 56,
        "save": "none",
        "output_dir": str(tmp_path / "run"),
    }
    result = adapt_core.run(made)
    settings = {
        "model": detectors["detr"]["path"],
        "data": str(cells),
        "lr": 1e-4,
        "epochs": 3,
        "batch_size": 4,
        "seed": 56,
        "output": str(tmp_path / "other"),
    }
    script = ROOT / "benchmarks" / "handwritten_object_detection.py"
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(settings)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(done.stdout.strip().splitlines()[-1])
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 6
    assert losses == pytest.approx(theirs["losses"], rel=1e-5)
    assert result["metrics"]["ap50"] == pytest.approx(theirs["ap50"], abs=1e-3)
