"""Adapt against a hand-written Trainer script on masks: losses, AP and time of training, in one run.

    python benchmarks/instance_segmentation.py [--repeats 2] [--epochs 2] [--images 32]

Both train a small Mask2Former, built on the spot, on images of nuclei of 128 pixels, whole, with AdamW, learning rate
1e-3, batch 8, no augmentation, seed 56 and those after it, and are measured on the validation images. The two of a pair
run at the same time, each in a process with half of the cores to itself, and swap halves from trial to trial. Start-up,
the check of the images, evaluation and Adapt's reload check are not in the times. Adapt decodes each image once, in its
first epoch; the script decodes it in every epoch.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from common import DATA, SEED
from text_classification import at_once

HERE = Path(__file__).parent
EDGE = 128


def write_model(folder: Path) -> Path:
    """A small Mask2Former on a residual network, with random weights."""
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
        ResNetConfig,
        set_seed,
    )

    backbone = ResNetConfig(
        hidden_sizes=[32, 32, 64, 64],
        depths=[1] * 4,
        embedding_size=32,
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    set_seed(SEED)
    made = Mask2FormerForUniversalSegmentation(
        Mask2FormerConfig(
            backbone_config=backbone,
            hidden_dim=64,
            feature_size=64,
            mask_feature_size=64,
            encoder_feedforward_dim=128,
            dim_feedforward=128,
            encoder_layers=1,
            decoder_layers=3,
            num_attention_heads=4,
            num_queries=40,
            train_num_points=512,
            num_labels=1,
        )
    )
    made.save_pretrained(folder)
    Mask2FormerImageProcessor(size={"height": EDGE, "width": EDGE}).save_pretrained(folder)
    return folder


def write_data(source: Path, folder: Path, images: int) -> Path:
    """The first images of each split."""
    (folder / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        content = json.loads((source / "annotations" / f"{split}.json").read_text())
        content["images"] = content["images"][:images]
        kept = {each["id"] for each in content["images"]}
        content["annotations"] = [each for each in content["annotations"] if each["image_id"] in kept]
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))
        shutil.copytree(source / split, folder / split)
    return folder


def main() -> None:
    """Runs the trials and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--images", type=int, default=32)
    arguments = parser.parse_args()
    source = (DATA.parent / "instance_segmentation" / "dsb2018_nuclei").resolve()
    if not source.is_dir():
        sys.exit(f"The data are missing: there is no {source}; set ADAPT_TEST_DATA to the folder of data sets")
    pairs, differences = [], []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        model = write_model(scratch / "model")
        data = write_data(source, scratch / "data", arguments.images)
        for repeat in range(arguments.repeats):
            seed, same = SEED + repeat, {"lr": 1e-3, "batch_size": 8, "epochs": arguments.epochs}
            script = {
                **same,
                "model": str(model),
                "data": str(data),
                "seed": seed,
                "output": str(scratch / f"{repeat}-script"),
            }
            config = {
                "task": {"name": "instance_segmentation", "augmentation": "none"},
                "model": {"path": str(model)},
                "dataset": {"path": str(data)},
                "method": {"name": "full"},
                "training": {**same, "num_workers": 0, "logging_steps": 1},
                "seed": seed,
                "save": "none",
                "output_dir": str(scratch / f"{repeat}-adapt"),
            }
            written = scratch / f"{repeat}.json"
            written.write_text(json.dumps(config))
            theirs, ours = at_once(
                [
                    [sys.executable, str(HERE / "handwritten_instance_segmentation.py"), json.dumps(script)],
                    [sys.executable, "-m", "adapt_core.cli", "run", str(written), "--json"],
                ],
                swapped=repeat % 2 == 1,
            )
            lines = (scratch / f"{repeat}-adapt" / "metrics.jsonl").read_text().splitlines()
            losses = [each["loss"] for each in map(json.loads, lines) if "loss" in each]
            differences += [abs(one - other) / other for one, other in zip(losses, theirs["losses"], strict=True)]
            pairs.append((theirs, ours))
    print("| | training, s | of hand-written (median of pairs) | mask AP | mask AP50 |\n|---|---|---|---|---|")
    rows = {
        "hand-written": [(one["seconds"], one["ap"], one["ap50"]) for one, _ in pairs],
        "Adapt": [(other["timing_s"]["train"], other["metrics"]["ap"], other["metrics"]["ap50"]) for _, other in pairs],
    }
    for label, found in rows.items():
        ratio = statistics.median(each[0] / base[0] for each, base in zip(found, rows["hand-written"], strict=True))
        seconds, ap, ap50 = (statistics.mean(each[place] for each in found) for place in range(3))
        print(f"| {label} | {seconds:.0f} | {ratio:.3f} | {ap:.4f} | {ap50:.4f} |")
    print(f"\nThe losses of the steps differ by at most {max(differences):.1e} of their value.")


if __name__ == "__main__":
    main()
