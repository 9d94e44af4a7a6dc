"""The examples of instance segmentation and its benchmark, on real images for a few steps."""

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
EXAMPLES = ROOT / "examples" / "instance_segmentation"


@pytest.fixture(scope="session")
def nuclei(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training and four validation images of nuclei, with at most twenty objects each, the largest ones first."""
    source = test_data / "instance_segmentation" / "dsb2018_nuclei"
    folder = tmp_path_factory.mktemp("nuclei")
    (folder / "annotations").mkdir()
    for split, count in (("train", 8), ("val", 4)):
        content = json.loads((source / "annotations" / f"{split}.json").read_text())
        areas: dict[int, list[float]] = {each["id"]: [] for each in content["images"]}
        for each in content["annotations"]:
            areas[each["image_id"]].append(each["area"])
        few = [each for each in content["images"] if 1 <= len(areas[each["id"]]) <= 20]
        few.sort(key=lambda each: -sum(areas[each["id"]]) / len(areas[each["id"]]) / each["width"] ** 2)
        content["images"] = few[:count]
        kept = {each["id"] for each in content["images"]}
        content["annotations"] = [each for each in content["annotations"] if each["image_id"] in kept]
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))
        (folder / split).mkdir()
        for each in content["images"]:
            shutil.copy(source / split / each["file_name"], folder / split)
    return folder


@pytest.mark.parametrize(
    ("name", "model"), [("mask2former", "mask2former"), ("lora", "rf_detr"), ("flat", "maskformer")]
)
def test_the_examples_run(
    name: str, model: str, nuclei: Path, segmenters: dict[str, Any], tmp_path: Path, no_reload: None
) -> None:
    # The models' own places in the examples are on the hub; these are tiny ones of the same families.
    changes = ["model.name=null", f"model.path={segmenters[model]['path']}", f"output_dir={tmp_path / 'run'}"]
    few = ["training.max_steps=2", "training.batch_size=4", "training.num_workers=0", f"dataset.path={nuclei}"]
    result = adapt_core.run(EXAMPLES / f"{name}.yaml", [*changes, *few])
    assert result["steps"] == 2
    assert "ap50" in result["metrics"]
    info = adapt_core.load_run(tmp_path / "run").info
    assert info["label_names"] == ["nucleus"]
    assert info["rows"] == {"train": 8, "validation": 4}


def test_masks_in_png_files_are_learned_from(
    segmentation: dict[str, Any], test_data: Path, tmp_path: Path, no_reload: None
) -> None:
    dataset = {"path": str(test_data / "instance_segmentation" / "dsb2018_nuclei_palette")}
    few = {"max_train_samples": 4, "max_eval_samples": 2}
    adapt_core.run({**segmentation, "dataset": {**dataset, **few}, "output_dir": str(tmp_path / "run")})
    (found,) = adapt_core.load_run(tmp_path / "run").info["label_names"]
    assert found == "nucleus"


def require_the_same_as_by_hand(model: str, nuclei: Path, folder: Path, **same: Any) -> dict[str, float]:
    """Trains with Adapt and with a hand-written script, holds losses and AP against one another, and returns AP."""
    made = {
        "task": {"name": "instance_segmentation", "augmentation": "none"},
        "model": {"path": model},
        "dataset": {"path": str(nuclei)},
        "method": {"name": "full"},
        "training": {**same, "num_workers": 0, "logging_steps": 1},
        "seed": 56,
        "save": "none",
        "output_dir": str(folder / "ours"),
    }
    found: dict[str, float] = adapt_core.run(made)["metrics"]
    settings = {**same, "model": model, "data": str(nuclei), "seed": 56, "output": str(folder / "theirs")}
    script = ROOT / "benchmarks" / "handwritten_instance_segmentation.py"
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(settings)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(done.stdout.strip().splitlines()[-1])
    lines = [json.loads(line) for line in (folder / "ours" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 2 * same["epochs"]
    assert losses == pytest.approx(theirs["losses"], rel=1e-4)
    for name in ("ap", "ap50"):
        assert found[name] == pytest.approx(theirs[name], abs=1e-4)
    return found


def test_a_hand_written_script_finds_the_same(
    nuclei: Path, segmenters: dict[str, Any], tmp_path: Path, no_reload: None
) -> None:
    model = segmenters["mask2former"]["path"]
    require_the_same_as_by_hand(model, nuclei, tmp_path, lr=1e-3, epochs=3, batch_size=4)


@pytest.mark.slow
def test_eight_real_images_are_learned_by_heart(
    nuclei: Path, tmp_path: Path, no_reload: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no pretrained model to be had here: a small one, from random weights, must find what it was shown."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from instance_segmentation import write_model  # type: ignore[import-not-found]

    adapt_core.run(
        {
            "task": {"name": "instance_segmentation", "augmentation": "none"},
            "model": {"path": str(write_model(tmp_path / "model"))},
            "dataset": {"path": str(nuclei)},
            "method": {"name": "full"},
            "training": {
                "lr": 2e-3,
                "max_steps": 400,
                "interval": "steps",
                "interval_steps": 400,
                "batch_size": 8,
                "warmup_steps": 20,
                "scheduler": "cosine",
                "max_grad_norm": 1.0,
                "num_workers": 0,
                "do_eval": False,
            },
            "seed": 56,
            "save": "none",
            "output_dir": str(tmp_path / "run"),
        }
    )
    found = adapt_core.evaluate_run(tmp_path / "run", split="train")["metrics"]
    assert found["ap50"] > 0.7
    learned = str(tmp_path / "run" / "model")
    again = require_the_same_as_by_hand(learned, nuclei, tmp_path, lr=1e-4, epochs=1, batch_size=4)
    assert again["ap50"] > 0.01  # on images that it was not trained on
