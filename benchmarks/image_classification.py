"""Adapt against a hand-written script of torchvision, PEFT and the Trainer: time of training and top-1, in one run.

    python benchmarks/image_classification.py efficientnet_lite0 lora [--repeats 2] [--epochs 2] [--size 96]
    python benchmarks/image_classification.py all

Methods are full, last_layer, lora and ssf, all of them where none is named. Both train on clothing_small, ten classes,
with AdamW, batch 32, random crops of 80 to 100 % and mirroring, seed 56 and those after it, and are measured on the
test images. LoRA (r 8, alpha 16, dropout 0.1) is on all convolutions but depthwise ones and those with padding of their
own; SSF on all convolutions, and on batch normalisation that does not end with an activation. The head is trained with
every method.

Of transformers' MobileNetV1, the dropout of 0.999 before the head is 0 here. Its class reads the settings of its
convolutions to pad as TensorFlow does, which PEFT's layers do not have, so that with LoRA it pads as torch does.

The two of a pair run at the same time, each in a process with half of the cores to itself, and swap halves from trial
to trial. Start-up, the check of the images, evaluation and Adapt's reload check are not in the times. Adapt decodes
each image once, in its first epoch; the script decodes it in every epoch.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import DATA, SEED, SELDOM, processor_clock, processor_seconds
from text_classification import at_once

HERE = Path(__file__).parent
LIBRARIES = {"efficientnet_lite0": "timm", "mobilenet_v1_0.25": "transformers"}
LORA = {"r": 8, "alpha": 16, "dropout": 0.1}
OPTIONS = {"lora": {**LORA, "target_modules": "conv"}}
METHODS = {"full": 5e-4, "last_layer": 3e-3, "lora": 2e-3, "ssf": 3e-3}
"""With their learning rates."""
LIMIT = 1.05
HEADER = "| | trained | script, s | Adapt, s | ratio | processor | script's top-1 | Adapt's | ± standard error |"


def folder_of(model: str, method: str, scratch: Path) -> Path:
    """The pretrained model's folder."""
    if model == "efficientnet_lite0":
        sys.path.insert(0, str(HERE.parent / "examples" / "quickstart_vision"))
        import efficientnet_lite

        return Path(efficientnet_lite.write(scratch / model))
    folder = scratch / model
    shutil.copytree((DATA.parent / "weights" / "mobilenet_v1_0.25_224_imagenet").resolve(), folder)
    changes = {"classifier_dropout_prob": 0.0, **({"tf_padding": False} if method == "lora" else {})}
    settings = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").unlink()  # which may be read-only
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def pair(model: str, method: str, folder: Path, repeat: int, *, epochs: int, size: int, scratch: Path) -> list[Any]:
    """What the script and Adapt print of one trial."""
    data = (DATA.parent / "image_classification" / "clothing_small").resolve()
    if not data.is_dir():
        sys.exit(f"The data are missing: there is no {data}; set ADAPT_TEST_DATA to the folder of data sets")
    seed, library = SEED + repeat, LIBRARIES[model]
    same = {"lr": METHODS[method], "batch_size": 32, "epochs": epochs}
    settings = {
        **same,
        **LORA,
        "library": library,
        "method": method,
        "model": str(folder),
        "data": str(data),
        "size": size,
        "seed": seed,
        "output": str(scratch / f"{repeat}-script"),
    }
    config = {
        "task": {"name": "image_classification", "image_size": size},
        "model": {"library": library, "path": str(folder)},
        "dataset": {"path": str(data), "validation_split": "test", "test_split": "validation"},
        "method": {"name": method, **OPTIONS.get(method, {})},
        "training": {**same, **SELDOM, **processor_clock(), "num_workers": 0},
        "save": "none",
        "seed": seed,
        "output_dir": str(scratch / f"{repeat}-adapt"),
    }
    file = scratch / f"{repeat}.json"
    file.write_text(json.dumps(config))
    commands = [
        [sys.executable, str(HERE / "handwritten_image_classification.py"), json.dumps(settings)],
        [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"],
    ]
    script, run = at_once(commands, swapped=repeat % 2 == 1)
    shown = f"{script['seconds']:.1f} s and {run['timing_s']['train']:.1f} s"
    for side, found in (("script", script), ("adapt", run)):
        found["processor"] = processor_seconds(scratch / f"{repeat}-{side}")
    scores = f"{script['accuracy']:.3f} and {run['metrics']['accuracy']:.3f}"
    print(f"{model}, {method}, seed {seed}: {shown}, {scores}", file=sys.stderr, flush=True)
    return [script, run]


def row(model: str, method: str, pairs: list[list[Any]]) -> tuple[str, bool]:
    """A row of the table, and whether it is within the bounds."""
    seconds = [(script["seconds"], run["timing_s"]["train"]) for script, run in pairs]
    ratios = [own / its for its, own in seconds]
    ratio = statistics.median(ratios)
    processor = statistics.median(run["processor"] / script["processor"] for script, run in pairs)
    theirs, own = (statistics.mean(each) for each in zip(*(_top_1(*each) for each in pairs), strict=True))
    # Of the difference of two measurements on the same number of test images, each of several trials.
    error = math.sqrt(sum(each * (1 - each) for each in (theirs, own)) / (pairs[0][0]["rows"] * len(pairs)))
    trained = {(script["trained"], run["parameters"]["trainable"]) for script, run in pairs}
    assert all(its == ours for its, ours in trained), f"They train different numbers of parameters: {trained}"
    parts = [
        f"{model}, {method}",
        f"{pairs[0][0]['trained']:,}",
        *(f"{statistics.mean(each):.1f}" for each in zip(*seconds, strict=True)),
        f"{ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
        f"{processor:.3f}",
        f"{theirs:.3f}",
        f"{own:.3f}",
        f"{error:.3f}",
    ]
    return f"| {' | '.join(parts)} |", ratio <= LIMIT and own >= theirs - 2 * error


def _top_1(script: Mapping[str, Any], run: Mapping[str, Any]) -> tuple[float, float]:
    return script["accuracy"], run["metrics"]["accuracy"]


def main() -> None:
    """Runs the trials and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=[*LIBRARIES, "all"])
    parser.add_argument("methods", nargs="*", metavar="method", help=f"{', '.join(METHODS)}; all by default")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--size", type=int, default=96)
    arguments = parser.parse_args()
    if unknown := set(arguments.methods) - set(METHODS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; methods are {', '.join(METHODS)}")
    print(HEADER)
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    missed = False
    for model in LIBRARIES if arguments.model == "all" else [arguments.model]:
        for method in arguments.methods or METHODS:
            with tempfile.TemporaryDirectory() as name:
                scratch = Path(name)
                folder = folder_of(model, method, scratch)
                given = {"epochs": arguments.epochs, "size": arguments.size, "scratch": scratch}
                pairs = [pair(model, method, folder, repeat, **given) for repeat in range(arguments.repeats)]
            line, kept = row(model, method, pairs)
            print(line, flush=True)
            missed |= not kept
    print(f"\nMeans of {arguments.repeats} pairs; ratios are medians, with the least and the greatest.")
    print(f"Bounds: {LIMIT:.2f} of the script's time, its top-1 less two standard errors of the difference.")
    sys.exit("MISSED" if missed else 0)


if __name__ == "__main__":
    main()
