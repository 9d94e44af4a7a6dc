"""Poses with a small top-down model of MMPose through Adapt: PCK@0.1 beside that of the mean pose.

    python benchmarks/mmpose_keypoints.py [--epochs 14] [--repeats 2]

MobileNetV2 with heatmaps, whole, from random weights, on the mouse of openfield_mouse: 90 frames, 26 to measure on,
batch 16, learning rate 2e-3 with CosineAnnealingLR and a warmup of ten steps, seed 56 and those after it. Two runs go
on at the same time, each with half of the cores to itself. The mean pose puts each keypoint where it lies in the boxes
of the training frames on average. A keypoint is found that is nearer to its place than a tenth of the longer edge of
its box.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import DATA, SEED
from text_classification import at_once

NEAR = 0.1
"""Of a box's longer edge."""


def main() -> None:
    """Runs the seeds and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--repeats", type=int, default=2)
    asked = parser.parse_args()
    data = (DATA.parent / "pose" / "openfield_mouse").resolve()
    if not data.is_dir():
        sys.exit(f"The data are missing: there is no {data}; set ADAPT_TEST_DATA to the folder of data sets")
    print(f"| | PCK@{NEAR} | AP | training |\n| --- | --- | --- | --- |")
    print(f"| mean pose | {mean_pose(data):.3f} | | |", flush=True)
    with tempfile.TemporaryDirectory() as name:
        seeds = [SEED + repeat for repeat in range(asked.repeats)]
        for some in (seeds[place : place + 2] for place in range(0, len(seeds), 2)):
            done = at_once([command(seed, asked.epochs, data, Path(name)) for seed in some], swapped=False)
            for seed, result in zip(some, done, strict=True):
                metrics, seconds = result["metrics"], result["timing_s"]["train"]
                print(f"| seed {seed} | {metrics['pck']:.3f} | {metrics['ap']:.3f} | {seconds:.0f} s |", flush=True)


def command(seed: int, epochs: int, data: Path, scratch: Path) -> list[str]:
    """The command of a run."""
    config = {
        "task": {"name": "pose_detection"},
        "model": {"library": "mmpose", "name": "td-hm_mobilenetv2_8xb64-210e_coco-256x192", "pretrained": False},
        "dataset": {"path": str(data)},
        "method": "full",
        "training": {
            "epochs": epochs, "batch_size": 16, "lr": 2e-3, "num_workers": 0,
            "scheduler": "CosineAnnealingLR", "warmup": True, "warmup_iters": 10,
            "interval": "steps", "interval_steps": 10**6,
        },
        "save": "none",
        "seed": seed,
        "output_dir": str(scratch / str(seed)),
    }  # fmt: skip
    file = scratch / f"{seed}.json"
    file.write_text(json.dumps(config))
    return [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"]


def mean_pose(data: Path) -> float:
    """The share of the keypoints of the validation frames that the mean pose of the training frames finds."""
    (boxes, points), (other, truth) = (read(data / "annotations" / f"{split}.json") for split in ("train", "val"))
    annotated = points[..., 2] > 0
    places = (points[..., :2] - boxes[:, None, :2]) / boxes[:, None, 2:]
    mean = (places * annotated[..., None]).sum(0) / annotated.sum(0)[:, None]
    guessed = other[:, None, :2] + mean * other[:, None, 2:]
    near = np.linalg.norm(guessed - truth[..., :2], axis=-1) <= NEAR * other[:, 2:].max(1)[:, None]
    return float(near[truth[..., 2] > 0].mean())


def read(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of shape (objects, 4) and keypoints of shape (objects, keypoints, 3)."""
    objects = json.loads(file.read_text())["annotations"]
    points = np.array([each["keypoints"] for each in objects], dtype=float).reshape(len(objects), -1, 3)
    return np.array([each["bbox"] for each in objects], dtype=float), points


if __name__ == "__main__":
    main()
