"""Adapt against a hand-written torchvision + Trainer script: time of training and top-1, in one run.

    python benchmarks/image_classification.py efficientnet_lite0 [--repeats 3] [--epochs 2] [--size 160]

Both train on clothing_small, ten classes, with AdamW, batch 32, random crops of 80 to 100 % and mirroring, seed 56
and those after it, and are measured on the test images: EfficientNet-Lite0 whole with learning rate 5e-4, and
MobileNetV1's head alone with 3e-3. (transformers' MobileNetV1 has a dropout of 0.999 before its head, which is 0
here, and a batch normalisation of momentum 0.9997, which would have the statistics of the last batch were it
trained.) The two of a pair run at the same time, each in a process with half of the cores to itself, and swap halves
from trial to trial. Start-up, the check of the images, evaluation and Adapt's reload check are not in the times.
Adapt decodes each image once, in its first epoch; the script decodes it in every epoch.
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
MODELS = {
    "efficientnet_lite0": {"library": "timm", "method": "full", "lr": 5e-4},
    "mobilenet_v1_0.25": {"library": "transformers", "method": "last_layer", "lr": 3e-3},
}


def folder_of(model: str, scratch: Path) -> Path:
    """The pretrained model's folder."""
    if model == "efficientnet_lite0":
        sys.path.insert(0, str(HERE.parent / "examples" / "quickstart_vision"))
        import efficientnet_lite

        return Path(efficientnet_lite.write(scratch / "efficientnet_lite0"))
    folder = scratch / "mobilenet"
    shutil.copytree((DATA.parent / "weights" / "mobilenet_v1_0.25_224_imagenet").resolve(), folder)
    settings = json.loads((folder / "config.json").read_text()) | {"classifier_dropout_prob": 0.0}
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def main() -> None:
    """Runs the trials and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--size", type=int, default=160)
    arguments = parser.parse_args()
    data = (DATA.parent / "image_classification" / "clothing_small").resolve()
    if not data.is_dir():
        sys.exit(f"The data are missing: there is no {data}; set ADAPT_TEST_DATA to the folder of data sets")
    library, method, lr = MODELS[arguments.model].values()
    pairs = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        model = folder_of(arguments.model, scratch)
        for repeat in range(arguments.repeats):
            seed = SEED + repeat
            same = {"lr": lr, "batch_size": 32, "epochs": arguments.epochs}
            script = {
                **same,
                "library": library,
                "head_only": method == "last_layer",
                "model": str(model),
                "data": str(data),
                "size": arguments.size,
                "seed": seed,
                "output": str(scratch / f"{repeat}-script"),
            }
            config = {
                "task": {"name": "image_classification", "image_size": arguments.size},
                "model": {"library": library, "path": str(model)},
                "dataset": {"path": str(data), "validation_split": "test", "test_split": "validation"},
                "method": method,
                "training": {**same, "num_workers": 0},
                "save": "none",
                "seed": seed,
                "output_dir": str(scratch / f"{repeat}-adapt"),
            }
            file = scratch / f"{repeat}.json"
            file.write_text(json.dumps(config))
            commands = [
                [sys.executable, str(HERE / "handwritten_image_classification.py"), json.dumps(script)],
                [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"],
            ]
            pairs.append(at_once(commands, swapped=repeat % 2 == 1))
    ratios = [run["timing_s"]["train"] / script["seconds"] for script, run in pairs]
    print("| | top-1 | training, s | waiting for data |\n|---|---|---|---|")
    print(_row("script", [(each["accuracy"], each["seconds"], None) for each, _ in pairs]))
    print(
        _row(
            "Adapt",
            [
                (run["metrics"]["accuracy"], run["timing_s"]["train"], run["throughput"]["loading_share"])
                for _, run in pairs
            ],
        )
    )
    print(f"\nAdapt's time is {statistics.median(ratios):.3f} of the script's (median of {len(ratios)} pairs).")


def _row(name: str, values: list[tuple[float, float, float | None]]) -> str:
    accuracies, seconds, shares = zip(*values, strict=True)
    spread = f" ± {statistics.stdev(accuracies):.3f}" if len(accuracies) > 1 else ""
    waiting = f"{statistics.mean(shares):.1%}" if shares[0] is not None else ""
    return f"| {name} | {statistics.mean(accuracies):.3f}{spread} | {statistics.mean(seconds):.0f} | {waiting} |"


if __name__ == "__main__":
    main()
