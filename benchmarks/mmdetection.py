"""Adapt's methods on a detector of MMDet, beside MMDet's own Runner: AP, what is trained, sizes and seconds.

    python benchmarks/mmdetection.py [--epochs 5] [--size 320] [--methods full,ssf,lora] [--repeats 1]

YOLOX-nano starts from its weights of COCO and learns the blood cells of bccd: 205 images to train on, 87 to measure on,
AdamW, batch 8, seed 56 and those after it. The Runner's script has the same settings. One process at a time; start-up,
the check of the images, evaluation and Adapt's reload check are not in the times.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import DATA, SEED, last_object

HERE = Path(__file__).parent
CONFIG = "yolox_nano_8xb8-300e_coco"
BATCH = 8
METHODS: dict[str, tuple[Any, float]] = {
    "full": ("full", 1e-3),
    "last_layer": ("last_layer", 5e-3),
    "lora": ({"name": "lora", "r": 8, "alpha": 16, "target_modules": "conv"}, 2e-3),
    "ssf": ("ssf", 5e-3),
    "bitfit": ("bitfit", 5e-3),
}
"""The method and its learning rate."""


def main() -> None:
    """Runs them and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--without-runner", action="store_true", help="leave MMDet's own Runner out")
    asked = parser.parse_args()
    data = (DATA.parent / "object_detection" / "bccd").resolve()
    weights = (DATA.parent / "weights" / "yolox_nano_coco" / "yolox_nano_mmdet.pth").resolve()
    if not weights.is_file():
        sys.exit(f"The data are missing: there is no {weights}; set ADAPT_TEST_DATA to the folder of data sets")
    print("| method | trained | share | file | AP | AP50 | training |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as name:
        for repeat in range(asked.repeats):
            seed, scratch = SEED + repeat, Path(name) / str(repeat)
            if not asked.without_runner:
                settings = {
                    "config": CONFIG, "weights": str(weights), "data": str(data), "size": asked.size, "lr": 1e-3,
                    "batch_size": BATCH, "epochs": asked.epochs, "seed": seed, "output": str(scratch / "runner"),
                }  # fmt: skip
                made = _said([sys.executable, str(HERE / "handwritten_mmdetection.py"), json.dumps(settings)])
                print(
                    f"| MMDet's Runner, full | | | | {made['ap']:.3f} | {made['ap50']:.3f} | {made['seconds']:.0f} s |"
                )
            for method in asked.methods.split(","):
                print(_line(method, data, weights, asked, seed, scratch / method), flush=True)


def _line(method: str, data: Path, weights: Path, asked: argparse.Namespace, seed: int, folder: Path) -> str:
    chosen, rate = METHODS[method]
    config = {
        "task": {"name": "object_detection", "image_size": asked.size},
        "model": {"library": "mmdet", "name": CONFIG, "path": str(weights)},
        "dataset": {"path": str(data)},
        "method": chosen,
        "training": {
            "epochs": asked.epochs, "batch_size": BATCH, "lr": rate, "num_workers": 0,
            "interval": "steps", "interval_steps": 10**6,
        },
        "save": "none",
        "seed": seed,
        "output_dir": str(folder),
    }  # fmt: skip
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = folder.parent / f"{method}.json"
    file.write_text(json.dumps(config))
    result = _said([sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"])
    metrics, counts = result["metrics"], result["parameters"]
    size = sum(each.stat().st_size for each in (folder / "model").iterdir() if each.suffix in (".pth", ".safetensors"))
    return (
        f"| {method} | {counts['trainable']:,} | {counts['trainable'] / counts['total']:.1%} | {size / 1e6:.2f} MB "
        f"| {metrics['ap']:.3f} | {metrics['ap50']:.3f} | {result['timing_s']['train']:.0f} s |"
    )


def _said(command: list[str]) -> dict[str, Any]:
    """The JSON object that a process prints last."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return last_object(done.stdout)


if __name__ == "__main__":
    main()
