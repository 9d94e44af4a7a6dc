"""Runs of the libraries' models on a few real images, small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import adapt_core

NOT_INSTALLED = "the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab"

YOLOX = "yolox_nano_8xb8-300e_coco"
TRAINING = {"max_steps": 2, "batch_size": 4, "lr": 1e-3, "num_workers": 0, "logging_steps": 1}


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    """What the libraries say when they are imported."""
    import warnings

    warnings.filterwarnings("ignore", message="Could not import OneDL")


@pytest.fixture(scope="session")
def yolox_weights(test_data: Path) -> Path:
    """YOLOX-nano's weights, trained on COCO."""
    return test_data / "weights" / "yolox_nano_coco" / "yolox_nano_mmdet.pth"


@pytest.fixture
def cells(test_data: Path, yolox_weights: Path, tmp_path: Path) -> dict[str, Any]:
    """A configuration: YOLOX-nano on a few images of blood cells."""
    return {
        "task": {"name": "object_detection", "image_size": 128},
        "model": {"library": "mmdet", "name": YOLOX, "path": str(yolox_weights)},
        "dataset": {
            "path": str(test_data / "object_detection" / "bccd"),
            "max_train_samples": 8,
            "max_eval_samples": 4,
        },
        "method": {"name": "full"},
        "training": TRAINING,
        "save": "none",
        "output_dir": str(tmp_path / "run"),
    }


@pytest.fixture
def masks(test_data: Path, tmp_path: Path) -> dict[str, Any]:
    """A configuration: RTMDet-Ins on a few images of nuclei."""
    return {
        "task": {"name": "instance_segmentation", "image_size": 96, "augmentation": "standard"},
        "model": {"library": "mmdet", "name": "rtmdet-ins_tiny_8xb32-300e_coco", "pretrained": False},
        "dataset": {
            "path": str(test_data / "instance_segmentation" / "dsb2018_nuclei"),
            "max_train_samples": 8,
            "max_eval_samples": 4,
        },
        "method": "full",
        "training": TRAINING,
        "save": "none",
        "output_dir": str(tmp_path / "run"),
    }


@pytest.fixture
def poses(test_data: Path, tmp_path: Path) -> dict[str, Any]:
    """A configuration: heatmaps of MobileNetV2 on a few frames of a mouse."""
    return {
        "task": {"name": "pose_detection", "augmentation": "standard"},
        "model": {"library": "mmpose", "name": "td-hm_mobilenetv2_8xb64-210e_coco-256x192", "pretrained": False},
        "dataset": {
            "path": str(test_data / "pose" / "openfield_mouse"),
            "max_train_samples": 8,
            "max_eval_samples": 4,
        },
        "method": "full",
        "training": TRAINING,
        "save": "none",
        "output_dir": str(tmp_path / "run"),
    }


@pytest.fixture
def run(cells: dict[str, Any], no_reload: None) -> Callable[..., dict[str, Any]]:
    """Runs the configuration with changes, section by section, without the process that loads what was saved."""

    def go(**changes: Any) -> dict[str, Any]:
        made = {**cells}
        for section, change in changes.items():
            both = isinstance(change, dict) and isinstance(made.get(section), dict) and section != "method"
            made[section] = {**made[section], **change} if both else change
        return adapt_core.run(made, overwrite=True)

    return go
