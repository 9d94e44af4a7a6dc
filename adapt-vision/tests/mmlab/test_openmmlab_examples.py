"""The examples of MMDet and MMPose, on real images for a few steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import adapt_core

pytest.importorskip("mmpose", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

EXAMPLES = Path(__file__).parents[3] / "examples" / "openmmlab"
FEW = [
    "training.max_steps=2", "training.batch_size=2", "training.num_workers=0", "dataset.max_train_samples=6",
    "dataset.max_eval_samples=3",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "further"),
    [
        ("cells", "object_detection/bccd", ["task.image_size=96"]),
        ("nuclei", "instance_segmentation/dsb2018_nuclei_palette", ["task.image_size=96", "model.pretrained=false"]),
        ("mouse", "pose/openfield_mouse", ["model.pretrained=false"]),
    ],
)
def test_the_examples_run(
    name: str, data: str, further: list[str], test_data: Path, yolox_weights: Path, tmp_path: Path, no_reload: Any
) -> None:
    # Weights are fetched in the examples; here they are local, or random.
    own = [f"model.path={yolox_weights}"] if name == "cells" else []
    places = [f"dataset.path={test_data / data}", f"output_dir={tmp_path / 'run'}"]
    result = adapt_core.run(EXAMPLES / f"{name}.yaml", [*FEW, *places, *further, *own])
    assert result["steps"] == 2
    assert {"cells": "ap50", "nuclei": "ap50", "mouse": "pck"}[name] in result["metrics"]
