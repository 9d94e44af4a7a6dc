"""The examples of pose detection and its benchmark, on real images for a few steps."""

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
EXAMPLES = ROOT / "examples" / "pose_detection"


@pytest.fixture(scope="session")
def mice(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training and four validation images of openfield_mouse."""
    source, folder = test_data / "pose" / "openfield_mouse", tmp_path_factory.mktemp("mice")
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


@pytest.mark.parametrize(("name", "model"), [("vitpose", "classic"), ("lora", "plus"), ("flat", "simple")])
def test_the_examples_run(
    name: str, model: str, mice: Path, estimators: dict[str, Any], tmp_path: Path, no_reload: None
) -> None:
    # The models' own places in the examples are on the hub; these are tiny ones of the same family.
    changes = ["model.name=null", f"model.path={estimators[model]['path']}", f"output_dir={tmp_path / 'run'}"]
    expert = ["model.dataset_index=2"] if model == "plus" else []  # of the tiny one's three
    few = ["training.max_steps=2", "training.batch_size=4", "training.num_workers=0", f"dataset.path={mice}"]
    result = adapt_core.run(EXAMPLES / f"{name}.yaml", [*changes, *few, *expert])
    assert result["steps"] == 2
    assert "pck" in result["metrics"]
    info = adapt_core.load_run(tmp_path / "run").info
    assert info["keypoints"]["names"] == ["snout", "leftear", "rightear", "tailbase"]
    assert info["keypoints"]["flip_pairs"] == [[1, 2]]
    assert info["objects"] == {"train": 8, "validation": 4}


def test_a_hand_written_script_finds_the_same(
    mice: Path, estimators: dict[str, Any], tmp_path: Path, no_reload: None
) -> None:
    """Same weights, rows and settings: the loss curve is equal to four digits, and so are PCK and AP."""
    made = {
        "task": {"name": "pose_detection", "augmentation": "none"},
        "model": estimators["simple"],
        "dataset": {"path": str(mice)},
        "method": {"name": "full"},
        "training": {"lr": 1e-3, "epochs": 3, "batch_size": 4, "num_workers": 0, "logging_steps": 1},
        "seed": 56,
        "save": "none",
        "output_dir": str(tmp_path / "run"),
    }
    result = adapt_core.run(made)
    settings = {
        "model": estimators["simple"]["path"],
        "data": str(mice),
        "lr": 1e-3,
        "epochs": 3,
        "batch_size": 4,
        "seed": 56,
        "output": str(tmp_path / "other"),
    }
    script = ROOT / "benchmarks" / "handwritten_pose_detection.py"
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(settings)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(done.stdout.strip().splitlines()[-1])
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 6
    assert losses == pytest.approx(theirs["losses"], rel=1e-4)
    assert result["metrics"]["pck"] == pytest.approx(theirs["pck"], abs=1e-4)
    assert result["metrics"]["ap"] == pytest.approx(theirs["ap"], abs=1e-4)
