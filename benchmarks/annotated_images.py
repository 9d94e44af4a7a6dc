"""What the benchmarks of detection, masks and pose share: a few images, learned by heart by Adapt and by a script.

There is no pretrained model of these tasks among the data, so that a small one from random weights learns a few images
by heart, and is measured on them: only so is there something to measure. Both train without augmentation, all weights,
with AdamW, in the same order of images, from seed 56 and those after it. The two of a pair run at the same time, each
in a process with half of the cores to itself, and swap halves from trial to trial. Start-up, the check of the images,
evaluation and Adapt's reload check are not in the times. Adapt decodes each image once, in its first epoch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common import SEED, SELDOM, processor_clock, processor_seconds
from text_classification import at_once

HERE = Path(__file__).parent
LIMIT = 1.05
DIGITS = 1e-4


Annotated = tuple[dict[str, Any], list[dict[str, Any]]]
"""An image of COCO's file with its annotations."""


def at_even_distances(images: Sequence[Annotated], count: int) -> Sequence[Annotated]:
    """So many of the images, from all over the file."""
    return images[:: max(len(images) // count, 1)][:count]


def write_data(
    source: Path,
    folder: Path,
    count: int,
    choose: Callable[[Sequence[Annotated], int], Sequence[Annotated]] = at_even_distances,
) -> None:
    """A few training images, and two of the other split, without which Adapt would hold some out.

    Args:
        source: COCO's files beside the images.
        folder: to write to.
        count: how many training images.
        choose: takes so many of some images.
    """
    source = source.resolve()
    if not source.is_dir():
        sys.exit(f"The data are missing: there is no {source}; set ADAPT_TEST_DATA to the folder of data sets")
    (folder / "annotations").mkdir(parents=True)
    for split, wanted in (("train", count), ("val", 2)):
        content = json.loads((source / "annotations" / f"{split}.json").read_text())
        found: dict[int, list[dict[str, Any]]] = {each["id"]: [] for each in content["images"]}
        for each in content["annotations"]:
            found[each["image_id"]].append(each)
        chosen = choose([(each, found[each["id"]]) for each in content["images"]], wanted)
        content["images"] = [image for image, _ in chosen]
        content["annotations"] = [one for _, annotations in chosen for one in annotations]
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))
        (folder / split).symlink_to(source / split)


def compare(
    task: str,
    same: Mapping[str, Any],
    write_model: Callable[[Path], Any],
    write_images: Callable[[Path], None],
    metrics: Sequence[str],
) -> None:
    """Runs the trials and prints a Markdown table.

    Args:
        task: Adapt's name of it; the script is ``handwritten_TASK.py``.
        same: the settings of training, but for ``epochs``, whose value is the default of an argument.
        write_model: writes the model to a folder.
        write_images: likewise the data.
        metrics: what both measure.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=same["epochs"])
    arguments = parser.parse_args()
    settings = {**same, "epochs": arguments.epochs}
    trials = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        places = {"model": scratch / "model", "data": scratch / "data"}
        write_model(places["model"])
        write_images(places["data"])
        for repeat in range(arguments.repeats):
            trials.append(_trial(task, settings, places, repeat, scratch / f"{repeat}"))
    _print(trials, metrics)


def _trial(
    task: str, same: Mapping[str, Any], places: Mapping[str, Path], repeat: int, scratch: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the script and Adapt found: seconds, the losses of all steps, and metrics on the training images."""
    import adapt_core

    scratch.mkdir()
    run, file, seed = scratch / "run", scratch / "config.json", SEED + repeat
    script = {**same, **{name: str(place) for name, place in places.items()}}
    script |= {"split": "train", "seed": seed, "output": str(scratch / "script")}
    config = {
        "task": {"name": task, "augmentation": "none"},
        "model": {"path": str(places["model"])},
        "dataset": {"path": str(places["data"])},
        "method": "full",
        "training": {**same, **SELDOM, **processor_clock(), "num_workers": 0, "logging_steps": 1, "do_eval": False},
        "save": "none",
        "seed": seed,
        "output_dir": str(run),
    }
    file.write_text(json.dumps(config))
    commands = [
        [sys.executable, str(HERE / f"handwritten_{task}.py"), json.dumps(script)],
        [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"],
    ]
    theirs, printed = at_once(commands, swapped=repeat % 2 == 1)
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    ours = {
        **adapt_core.evaluate_run(run, split="train")["metrics"],
        "seconds": printed["timing_s"]["train"],
        "processor": processor_seconds(run),
        "losses": [line["loss"] for line in lines if "loss" in line],
    }
    return {**theirs, "processor": processor_seconds(scratch / "script")}, ours


def _print(trials: Sequence[tuple[dict[str, Any], dict[str, Any]]], metrics: Sequence[str]) -> None:
    ratios = [ours["seconds"] / theirs["seconds"] for theirs, ours in trials]
    print(f"| | training, s | {' | '.join(metrics)} | last loss |")
    print("|---|---|" + "---|" * (len(metrics) + 1))
    for place, name in enumerate(("script", "Adapt")):
        found = [trial[place] for trial in trials]
        values = [f"{statistics.mean(each[metric] for each in found):.4f}" for metric in metrics]
        last = statistics.mean(each["losses"][-1] for each in found)
        seconds = statistics.mean(each["seconds"] for each in found)
        print(f"| {name} | {seconds:.1f} | {' | '.join(values)} | {last:.4f} |")
    apart = max(
        abs(own - its) / its
        for theirs, ours in trials
        for its, own in zip(theirs["losses"], ours["losses"], strict=True)
    )
    measured = max(abs(ours[metric] - theirs[metric]) for theirs, ours in trials for metric in metrics)
    ratio, steps = statistics.median(ratios), len(trials[0][0]["losses"])
    spread = f"{len(ratios)} pairs, from {min(ratios):.3f} to {max(ratios):.3f}"
    print(f"\nAdapt's time is {ratio:.3f} of the script's (median of {spread}).")
    processor = statistics.median(ours["processor"] / theirs["processor"] for theirs, ours in trials)
    print(f"Its processor time is {processor:.3f} of the script's.")
    print(f"The losses of {steps} steps differ by at most {apart:.1e} of themselves, metrics by {measured:.1e}.")
    if apart > DIGITS or measured > DIGITS or ratio > LIMIT:
        sys.exit(f"MISSED: at most {LIMIT} of the time, and losses and metrics that differ by at most {DIGITS}")
