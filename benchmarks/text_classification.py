"""Adapt against a hand-written Trainer + PEFT script: time of training and accuracy, in one run.

    python benchmarks/text_classification.py rotten_tomatoes [--repeats 3] [--epochs 1]

Both train MiniLM with LoRA (r 8, alpha 16, dropout 0.1, all linear layers), batch 16, learning rate 5e-4, seed 56 and
those after it, and are measured on the test file. The two of a pair run at the same time, each in a
process with half of the cores to itself, so that whatever else slows the machine down slows both; they swap halves from
trial to trial.
Start-up, loading, evaluation and Adapt's reload check are not in the times, but shown apart.
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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from common import SEED, last_object, minilm, test_as_validation, train_and_test

HERE = Path(__file__).parent
SETTINGS = {"lr": 5e-4, "batch_size": 16, "r": 8, "alpha": 16, "dropout": 0.1}
LIMIT = 1.05
ORDERS = {False: "rows at random", True: "batches of like length (Adapt's default)"}
NAMES = ("banking77", "rotten_tomatoes")


def handwritten(train: Path, test: Path, *, group_by_length: bool, epochs: int, seed: int, output: Path) -> list[str]:
    """The command of the hand-written script."""
    settings = {
        **SETTINGS,
        "model": minilm(),
        "train": str(train),
        "test": str(test),
        "group_by_length": group_by_length,
        "epochs": epochs,
        "seed": seed,
        "output": str(output),
    }
    return [sys.executable, str(HERE / "handwritten_text_classification.py"), json.dumps(settings)]


def adapt(train: Path, test: Path, *, group_by_length: bool, epochs: int, seed: int, output: Path) -> list[str]:
    """The command of Adapt for the same, evaluated on the same file as the script."""
    # The script trains on the whole file, so Adapt does too.
    config = {
        "task": "text_classification",
        "model": {"path": minilm()},
        "dataset": {"path": test_as_validation(train, test, output.with_name(output.name + "-data"))},
        "method": {"name": "lora", **{name: SETTINGS[name] for name in ("r", "alpha", "dropout")}},
        "training": {
            **{name: SETTINGS[name] for name in ("lr", "batch_size")},
            "epochs": epochs,
            "num_workers": 0,
            "group_by_length": group_by_length,
        },
        "save": {"name": "none"},
        "seed": seed,
        "output_dir": str(output),
    }
    file = output.with_suffix(".json")
    file.write_text(json.dumps(config))
    return [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"]


def at_once(commands: Sequence[list[str]], swapped: bool) -> list[dict[str, Any]]:
    """What the commands print when they run side by side, each on its own share of the cores."""
    cores = sorted(os.sched_getaffinity(0))
    share = max(len(cores) // len(commands), 1)
    environment = {**os.environ, "OMP_NUM_THREADS": str(share)}
    processes = []
    for index, command in enumerate(commands):
        place = len(commands) - 1 - index if swapped else index
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        os.sched_setaffinity(process.pid, cores[place * share : (place + 1) * share] or cores)
        processes.append(process)
    with ThreadPoolExecutor() as pool:  # nobody waits for a pipe to be read
        printed = list(pool.map(lambda process: process.communicate(), processes))
    for process, (_, errors) in zip(processes, printed, strict=True):
        if process.returncode != 0:
            sys.exit(f"{' '.join(process.args[:3])} failed:\n{errors[-3000:]}")  # type: ignore[index]
    return [last_object(output) for output, _ in printed]


def main() -> None:
    """Runs the trials and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", choices=NAMES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    arguments = parser.parse_args()
    train, test = train_and_test(arguments.data)

    trials: dict[bool, list[tuple[dict[str, Any], dict[str, Any]]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as scratch:
        for repeat in range(arguments.repeats):
            for group, done in trials.items():
                commands = [
                    command(
                        train,
                        test,
                        group_by_length=group,
                        epochs=arguments.epochs,
                        seed=SEED + repeat,
                        output=Path(scratch, name),
                    )
                    for command, name in (
                        (handwritten, f"{repeat}-{group}-script"),
                        (adapt, f"{repeat}-{group}-adapt"),
                    )
                ]
                script, run = at_once(commands, swapped=repeat % 2 == 1)
                done.append((script, run))
                seconds = script["seconds"], run["timing_s"]["train"]
                scores = script["accuracy"], run["metrics"]["accuracy"]
                shown = f"{seconds[0]:.1f} s and {seconds[1]:.1f} s, {scores[0]:.3f} and {scores[1]:.3f}"
                print(f"seed {SEED + repeat}, {ORDERS[group]}: {shown}", file=sys.stderr, flush=True)

    rows = trials[False][0][0]["rows"]
    settings = f"{arguments.epochs} epoch{'s' * (arguments.epochs != 1)}, {arguments.repeats} pairs from seed {SEED}"
    print(f"{arguments.data}, {settings}: median seconds, mean accuracy on {rows} test rows\n")
    print("| | training, s | of hand-written | accuracy | ± one standard error |\n|---|---|---|---|---|")
    verdicts = []
    for group, done in trials.items():
        seconds = {"hand-written": [script["seconds"] for script, _ in done]}
        seconds["Adapt"] = [run["timing_s"]["train"] for _, run in done]
        scores = {"hand-written": [script["accuracy"] for script, _ in done]}
        scores["Adapt"] = [run["metrics"]["accuracy"] for _, run in done]
        ratio = statistics.median(own / its for its, own in zip(*seconds.values(), strict=True))
        accuracy = {name: statistics.mean(values) for name, values in scores.items()}
        # Of one trial: the trials share their test rows.
        error = {name: math.sqrt(value * (1 - value) / rows) for name, value in accuracy.items()}
        for name, share in (("hand-written", 1.0), ("Adapt", ratio)):
            cells = f"{statistics.median(seconds[name]):.1f} | {share:.3f} | {accuracy[name]:.3f} | {error[name]:.3f}"
            print(f"| {name}, {ORDERS[group]} | {cells} |")
        within = accuracy["Adapt"] >= accuracy["hand-written"] - error["hand-written"]
        faster = "kept" if ratio <= LIMIT else "EXCEEDED"
        verdicts.append(f"{ORDERS[group]}: time {faster}, accuracy {'kept' if within else 'MISSED'}")
    print(f"\nlimits: {LIMIT:.2f} of the script's time, accuracy within one standard error of its own")
    print("\n".join(verdicts))
    apart = trials[True][0][1]["timing_s"]
    print("\nAdapt's stages, s: " + ", ".join(f"{stage} {value:.1f}" for stage, value in apart.items()))
    sys.exit(any("EXCEEDED" in verdict or "MISSED" in verdict for verdict in verdicts))


if __name__ == "__main__":
    main()
