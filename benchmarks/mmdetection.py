"""Adapt's methods on a detector of MMDet, and full training beside MMDet's own Runner: AP, sizes and seconds.

    python benchmarks/mmdetection.py methods [--epochs 5] [--size 320] [--methods full,ssf,lora]
    python benchmarks/mmdetection.py runner [--epochs 5] [--size 320] [--repeats 3]

YOLOX-nano starts from its weights of COCO and learns the blood cells of bccd: 205 images to train on, 87 to measure on,
AdamW, batch 8, seed 56 and those after it; beside the Runner without augmentation. Two processes run at
the same time, each with half of the cores to itself: two methods, or Adapt and the Runner's script with the same
settings, which swap halves from pair to pair. Start-up, the check of the images, evaluation and Adapt's reload check
are not in the times.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import DATA, SEED
from text_classification import LIMIT, at_once

HERE = Path(__file__).parent
CONFIG = "yolox_nano_8xb8-300e_coco"
BATCH, RATE = 8, 1e-3
METHODS: dict[str, tuple[str, Any, float]] = {
    "before": ("before training", "full", RATE),
    "full": ("full", "full", RATE),
    "ssf": ("ssf", "ssf", 5e-3),
    "bitfit": ("bitfit", "bitfit", 5e-3),
    "lora_and_norm": (
        "lora, r 4, and batch normalisation",
        {"name": "lora", "r": 4, "alpha": 2, "target_modules": "conv", "train_batch_norm": True},
        5e-3,
    ),
    "lora": ("lora, r 8", {"name": "lora", "r": 8, "alpha": 16, "target_modules": "conv"}, 1e-3),
    "last_layer": ("last_layer", "last_layer", 5e-3),
    "scratch": ("full, from random weights", "full", RATE),
}
"""What the table calls it, the method, and its learning rate."""


def main() -> None:
    """Runs them and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["methods", "runner"])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=3, help="pairs of Adapt and the Runner")
    parser.add_argument("--methods", default=",".join(METHODS))
    asked = parser.parse_args()
    if not weights().is_file():
        sys.exit(f"The data are missing: there is no {weights()}; set ADAPT_TEST_DATA to the folder of data sets")
    with tempfile.TemporaryDirectory() as name:
        if asked.what == "runner":
            beside_the_runner(asked, Path(name))
        else:
            methods(asked, Path(name))


def methods(asked: argparse.Namespace, scratch: Path) -> None:
    """A row for each method."""
    print("| method | trained | share | file | AP | AP50 | training |\n| --- | --- | --- | --- | --- | --- | --- |")
    chosen = asked.methods.split(",")
    for names in (chosen[place : place + 2] for place in range(0, len(chosen), 2)):
        commands = [adapt(name, asked, SEED, scratch / name) for name in names]
        for name, result in zip(names, at_once(commands, swapped=False), strict=True):
            print(row(name, result, scratch / name), flush=True)


def beside_the_runner(asked: argparse.Namespace, scratch: Path) -> None:
    """Full training by Adapt and by the Runner, in pairs."""
    pairs = []
    for repeat in range(asked.repeats):
        seed = SEED + repeat
        commands = [
            script(asked, seed, scratch / f"{repeat}-runner"),
            adapt("full", asked, seed, scratch / str(repeat)),
        ]
        its, ours = at_once(commands, swapped=repeat % 2 == 1)
        pairs.append((its, ours["metrics"] | {"seconds": ours["timing_s"]["train"]}))
        shown = [f"AP {each['ap']:.3f}, {each['seconds']:.1f} s" for each in pairs[-1]]
        print(f"seed {seed}: Runner {shown[0]}; Adapt {shown[1]}", file=sys.stderr, flush=True)
    print(f"full, {asked.epochs} epochs at {asked.size} pixels, {asked.repeats} seeds\n")
    print("| | AP | ± over seeds | AP50 | training, s | of the Runner's |\n| --- | --- | --- | --- | --- | --- |")
    ratio = statistics.median(ours["seconds"] / its["seconds"] for its, ours in pairs)
    for name, place, share in (("MMDet's Runner", 0, 1.0), ("Adapt", 1, ratio)):
        ap, ap50, seconds = ([pair[place][key] for pair in pairs] for key in ("ap", "ap50", "seconds"))
        print(
            f"| {name} | {statistics.mean(ap):.3f} | {deviation(ap):.3f} | {statistics.mean(ap50):.3f} "
            f"| {statistics.median(seconds):.1f} | {share:.3f} |"
        )
    print(f"\nlimit: {LIMIT:.2f} of the Runner's time: {'kept' if ratio <= LIMIT else 'EXCEEDED'}")
    sys.exit(ratio > LIMIT)


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of one run; 0 of a single one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def row(name: str, result: dict[str, Any], folder: Path) -> str:
    """A method's line of the table."""
    metrics, counts, label = result["metrics"], result["parameters"], METHODS[name][0]
    found = f"{metrics['ap']:.3f} | {metrics['ap50']:.3f}"
    if name == "before":
        return f"| {label} | | | | {found} | |"
    size = sum(each.stat().st_size for each in (folder / "model").iterdir() if each.suffix in (".pth", ".safetensors"))
    return (
        f"| {label} | {counts['trainable']:,} | {counts['trainable'] / counts['total']:.1%} | {size / 1e6:.2f} MB "
        f"| {found} | {result['timing_s']['train']:.0f} s |"
    )


def adapt(name: str, asked: argparse.Namespace, seed: int, folder: Path, augmentation: str = "light") -> list[str]:
    """The command of Adapt for a method."""
    _, method, rate = METHODS[name]
    start = {"pretrained": False} if name == "scratch" else {"path": str(weights())}
    config = {
        "task": {"name": "object_detection", "image_size": asked.size, "augmentation": augmentation},
        "model": {"library": "mmdet", "name": CONFIG, **start},
        "dataset": {"path": str(data())},
        "method": method,
        "training": {
            "epochs": asked.epochs, "batch_size": BATCH, "lr": rate, "num_workers": 0, "do_train": name != "before",
            "interval": "steps", "interval_steps": 10**6,
        },
        "save": "none",
        "seed": seed,
        "output_dir": str(folder),
    }  # fmt: skip
    file = folder.with_name(f"{folder.name}.json")
    file.write_text(json.dumps(config))
    return [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"]


def script(asked: argparse.Namespace, seed: int, folder: Path) -> list[str]:
    """The command of the Runner's script."""
    settings = {
        "config": CONFIG, "weights": str(weights()), "data": str(data()), "size": asked.size, "lr": RATE,
        "batch_size": BATCH, "epochs": asked.epochs, "seed": seed, "output": str(folder),
    }  # fmt: skip
    return [sys.executable, str(HERE / "handwritten_mmdetection.py"), json.dumps(settings)]


def data() -> Path:
    """The folder of the blood cells."""
    return (DATA.parent / "object_detection" / "bccd").resolve()


def weights() -> Path:
    """YOLOX-nano's, of COCO."""
    return (DATA.parent / "weights" / "yolox_nano_coco" / "yolox_nano_mmdet.pth").resolve()


if __name__ == "__main__":
    main()
