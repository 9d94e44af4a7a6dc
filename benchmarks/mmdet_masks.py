"""Masks with MMDet's RTMDet-Ins through Adapt: mask AP before and after, from either layout of the same data.

    python benchmarks/mmdet_masks.py [--epochs 20] [--size 160] [--lr 2e-3]

RTMDet-Ins-tiny, whole, from random weights, on the nuclei of dsb2018_nuclei (120 images, 40 to measure on), which come
as COCO's polygons and as PNG masks. A run from each goes on at the same time, each in a process with half of the cores
to itself. The polygons are drawn along the edges of the masks, so the two runs see nearly the same: their instances are
paired by how much they cover of one another, and their AP is compared.
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

LAYOUTS = {"dsb2018_nuclei": "COCO's polygons", "dsb2018_nuclei_palette": "PNG masks"}
SAME = 0.5
"""The overlap from which average precision first counts two masks as one."""


def main() -> None:
    """Runs both layouts and prints Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--lr", type=float, default=2e-3)
    asked = parser.parse_args()
    folders = {name: (DATA.parent / "instance_segmentation" / name).resolve() for name in LAYOUTS}
    if missing := [str(each) for each in folders.values() if not each.is_dir()]:
        sys.exit(f"The data are missing: there is no {missing[0]}; set ADAPT_TEST_DATA to the folder of data sets")
    with tempfile.TemporaryDirectory() as name:
        before, after = (
            at_once(
                [command(asked, each, Path(name), trains=trains) for each in folders.values()],
                swapped=False,
            )
            for trains in (False, True)
        )
    print("| layout | mask AP before | mask AP | mask AP50 | training |\n| --- | --- | --- | --- | --- |")
    for label, first, last in zip(LAYOUTS.values(), before, after, strict=True):
        metrics, seconds = last["metrics"], last["timing_s"]["train"]
        cells = f"{first['metrics']['ap']:.3f} | {metrics['ap']:.3f} | {metrics['ap50']:.3f} | {seconds:.0f} s"
        print(f"| {label} | {cells} |")
    print("\n" + paired(*folders.values()))


def command(asked: argparse.Namespace, data: Path, scratch: Path, *, trains: bool) -> list[str]:
    """The command of a run."""
    config = {
        "task": {"name": "instance_segmentation", "image_size": asked.size},
        "model": {"library": "mmdet", "name": "rtmdet-ins_tiny_8xb32-300e_coco", "pretrained": False},
        "dataset": {"path": str(data)},
        "method": "full",
        "training": {
            "epochs": asked.epochs, "batch_size": 8, "lr": asked.lr, "num_workers": 0, "do_train": trains,
            "scheduler": "CosineAnnealingLR", "warmup": True, "warmup_iters": 30,
            "interval": "steps", "interval_steps": 10**6,
        },
        "save": "none",
        "seed": SEED,
        "output_dir": str(scratch / f"{data.name}-{trains}"),
    }  # fmt: skip
    file = scratch / f"{data.name}-{trains}.json"
    file.write_text(json.dumps(config))
    return [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"]


def paired(polygons: Path, masks: Path) -> str:
    """How far the instances of two layouts are the same, in a sentence."""
    from adapt_vision.annotations.masks import decoded

    counts, overlaps = [], []
    for one, other in zip(rows(polygons), rows(masks), strict=True):
        names = {Path(path).stem: place for place, path in enumerate(other.images)}
        for path, found, objects in zip(one.images, one.found, one.objects, strict=True):
            place = names[Path(path).stem]
            theirs = [decoded(str(each.mask), found.size) for each in other.objects[place]]
            counts.append((len(objects), len(theirs)))
            for each in objects:
                mask = decoded(str(each.mask), found.size)
                overlaps.append(max((mask & its).sum() / (mask | its).sum() for its in theirs))
    alike = sum(one == other for one, other in counts)
    same = sum(each >= SAME for each in overlaps) / len(overlaps)
    return (
        f"{alike} of {len(counts)} images have as many instances in both layouts, {len(overlaps):,} in all. Their mean "
        f"overlap (intersection over union) is {statistics.mean(overlaps):.3f}; it is {SAME} or more for {same:.1%}."
    )


def rows(folder: Path) -> tuple[Any, Any]:
    """The images of both splits with their masks."""
    from adapt_vision.annotations.options import AnnotatedImageOptions
    from adapt_vision.annotations.rows import load_rows

    train, evaluation, _ = load_rows(AnnotatedImageOptions(path=str(folder)), 0, evaluate=True, wanted="masks")
    return train, evaluation


if __name__ == "__main__":
    main()
