"""A small detector, built on the spot, learns real images by heart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import copies
import detector_families
import pytest
from by_heart import learned

import adapt_core

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "handwritten_object_detection.py"


@pytest.fixture
def sized(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that are larger than those of other tests: 0.5 million parameters that see 128 pixels."""
    for settings, changes in (
        (detector_families.WIDTHS, {"d_model": 64, "decoder_ffn_dim": 128, "num_queries": 60, "decoder_layers": 3}),
        (
            detector_families.HYBRID,
            {"encoder_hidden_dim": 64, "decoder_in_channels": [64, 64, 64], "num_denoising": 20},
        ),
        (detector_families.SQUARE, {"height": 128, "width": 128}),
    ):
        for key, value in changes.items():
            monkeypatch.setitem(settings, key, value)


@pytest.mark.slow
def test_eight_images_are_learned_by_heart(sized: None, test_data: Path, tmp_path: Path, no_reload: None) -> None:
    """Those with the fewest cells, of the images that have every kind of them."""

    def few_first(content: Any) -> list[Any]:
        kinds: dict[int, list[int]] = {each["id"]: [] for each in content["images"]}
        for each in content["annotations"]:
            kinds[each["image_id"]].append(each["category_id"])
        return sorted(content["images"], key=lambda each: (-len(set(kinds[each["id"]])), len(kinds[each["id"]])))

    cells = copies.subset(test_data / "object_detection" / "bccd", tmp_path / "cells", 8, order=few_first)
    config = {
        "task": {"name": "object_detection", "augmentation": "none"},
        "model": {"path": str(detector_families.build("rt_detr", tmp_path / "model", labels=3))},
        "dataset": {"path": str(cells)},
        "method": {"name": "full"},
        "training": {
            "lr": 2e-3,
            "warmup_steps": 20,
            "max_steps": 300,
            "batch_size": 4,
            "num_workers": 0,
            "do_eval": False,
            "interval_steps": 300,
            "interval": "steps",
        },
        "save": "none",
    }
    found, _ = learned(config, tmp_path, 0.9)
    assert found["ap50"] > 0.9


@pytest.mark.slow
def test_a_hand_written_script_learns_the_same(sized: None, test_data: Path, tmp_path: Path, no_reload: None) -> None:
    """The loss curve of 120 steps and average precision on other images, once there is some."""
    cells = copies.subset(test_data / "object_detection" / "bccd", tmp_path / "cells", 8)
    model = str(detector_families.build("rt_detr", tmp_path / "model", labels=3))
    same: dict[str, Any] = {"lr": 1e-3, "epochs": 60, "batch_size": 4}
    result = adapt_core.run(
        {
            "task": {"name": "object_detection", "augmentation": "none"},
            "model": {"path": model},
            "dataset": {"path": str(cells)},
            "method": {"name": "full"},
            "training": {**same, "num_workers": 0, "logging_steps": 1, "interval": "steps", "interval_steps": 120},
            "seed": 56,
            "save": "none",
            "output_dir": str(tmp_path / "run"),
        }
    )
    settings = {**same, "model": model, "data": str(cells), "seed": 56, "output": str(tmp_path / "other")}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), json.dumps(settings)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(done.stdout.strip().splitlines()[-1])
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 120 and losses == pytest.approx(theirs["losses"], rel=1e-4)
    assert theirs["ap50"] > 0.01
    assert [result["metrics"][name] for name in ("ap", "ap50")] == pytest.approx(
        [theirs["ap"], theirs["ap50"]], abs=1e-4
    )
