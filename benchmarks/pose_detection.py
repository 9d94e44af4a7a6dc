"""Adapt against a hand-written Trainer script: time of training, PCK@0.1 and AP of keypoints, in one run.

    python benchmarks/pose_detection.py [--repeats 3] [--epochs 6]

Both train a small ViTPose with random weights (1.7 M parameters, crops of 96 × 96 pixels) whole on openfield_mouse, 90
images, with AdamW, learning rate 1e-3, batch 16, without augmentation, seed 56 and those after it. They run at the same
time, each in a process with half of the cores to itself, and swap halves from trial to trial. Start-up, the check of
the images, evaluation and Adapt's reload check are not in the times. The script decodes its images before it trains,
Adapt in its first epoch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import DATA, SEED
from text_classification import at_once

HERE = Path(__file__).parent


def write_model(folder: Path) -> str:
    """A small ViTPose of COCO's 17 keypoints with random weights."""
    from transformers import (
        VitPoseBackboneConfig,
        VitPoseConfig,
        VitPoseForPoseEstimation,
        VitPoseImageProcessor,
        set_seed,
    )

    backbone = VitPoseBackboneConfig(
        image_size=[96, 96],
        patch_size=[8, 8],
        hidden_size=192,
        num_hidden_layers=4,
        num_attention_heads=4,
        mlp_ratio=4,
        out_indices=[4],
    )
    set_seed(SEED)
    VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=17)).save_pretrained(folder)
    VitPoseImageProcessor(size={"height": 96, "width": 96}).save_pretrained(folder)
    return str(folder)


def main() -> None:
    """Runs the trials and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    data = (DATA.parent / "pose" / "openfield_mouse").resolve()
    if not data.is_dir():
        sys.exit(f"The data are missing: there is no {data}; set ADAPT_TEST_DATA to the folder of data sets")
    pairs = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        model = write_model(scratch / "model")
        for repeat in range(arguments.repeats):
            same: dict[str, Any] = {"lr": 1e-3, "batch_size": 16, "epochs": arguments.epochs}
            output = str(scratch / f"{repeat}-script")
            script = {**same, "model": model, "data": str(data), "seed": SEED + repeat, "output": output}
            config = {
                "task": {"name": "pose_detection", "augmentation": "none"},
                "model": {"path": model},
                "dataset": {"path": str(data)},
                "method": "full",
                "training": {**same, "num_workers": 0, "logging_steps": 1},
                "save": "none",
                "seed": SEED + repeat,
                "output_dir": str(scratch / f"{repeat}-adapt"),
            }
            file = scratch / f"{repeat}.json"
            file.write_text(json.dumps(config))
            commands = [
                [sys.executable, str(HERE / "handwritten_pose_detection.py"), json.dumps(script)],
                [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"],
            ]
            made, run = at_once(commands, swapped=repeat % 2 == 1)
            lines = (scratch / f"{repeat}-adapt" / "metrics.jsonl").read_text().splitlines()
            losses = [line["loss"] for line in map(json.loads, lines) if "loss" in line]
            apart = max(abs(a - b) / b for a, b in zip(losses, made["losses"], strict=True))
            pairs.append((made, run, apart))
    ratios = [run["timing_s"]["train"] / script["seconds"] for script, run, _ in pairs]
    print("| | PCK@0.1 | AP | training, s |\n|---|---|---|---|")
    print(_row("script", [(each["pck"], each["ap"], each["seconds"]) for each, _, _ in pairs]))
    runs = [(run["metrics"], run["timing_s"]["train"]) for _, run, _ in pairs]
    print(_row("Adapt", [(metrics["pck"], metrics["ap"], seconds) for metrics, seconds in runs]))
    print(f"\nAdapt's time is {statistics.median(ratios):.3f} of the script's (median of {len(ratios)} pairs).")
    print(f"Losses of a step differ by at most {max(apart for _, _, apart in pairs):.1e} of themselves.")


def _row(name: str, values: list[tuple[float, float, float]]) -> str:
    pck, precision, seconds = (statistics.mean(each) for each in zip(*values, strict=True))
    return f"| {name} | {pck:.3f} | {precision:.3f} | {seconds:.0f} |"


if __name__ == "__main__":
    main()
