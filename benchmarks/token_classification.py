"""Adapt against a hand-written Trainer + PEFT script: time of training and score, for ner, pos and chunk.

    python benchmarks/token_classification.py ner [--repeats 3] [--epochs 1] [--rows 2500]

Both train MiniLM with LoRA (r 8, alpha 16, dropout 0.1, all linear layers), batch 16, learning rate 1e-3, rows in one
order at random, seed 56 and those after it, and are measured on the test file: the F1 of entities of WNUT-17 (ner), the
accuracy of the parts of speech of UD English EWT (pos), and the F1 of noun phrases, which
``examples/token_classification/noun_phrases.py`` marks by its rule in the same sentences (chunk). The two of a pair run
at the same time, each on half of the cores, and swap halves from trial to trial.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import DATA, SEED, minilm, test_as_validation
from text_classification import LIMIT, at_once

HERE = Path(__file__).parent
RULE = HERE.parent / "examples" / "token_classification" / "noun_phrases.py"
SETTINGS = {"lr": 1e-3, "batch_size": 16, "r": 8, "alpha": 16, "dropout": 0.1}
TASKS = {"ner": ("wnut_17_ner", "ner_tags", "f1"), "pos": ("ud_ewt_pos", "upos", "accuracy"),
         "chunk": ("ud_ewt_pos", "chunk_tags", "f1")}  # fmt: skip
WITHIN = 0.02
"""How far the scores may be apart."""


def files_of(subtask: str, rows: int, scratch: Path) -> tuple[Path, Path]:
    """The training file, cut to its first rows, and the test file."""
    folder = (DATA.parent / "token_classification" / TASKS[subtask][0]).resolve()
    if not folder.is_dir():
        sys.exit(f"The data are missing: there is no {folder}; set ADAPT_TEST_DATA to the folder of data sets")
    if subtask == "chunk":
        subprocess.run([sys.executable, str(RULE), str(folder), str(scratch / "chunks")], check=True, stdout=sys.stderr)
        folder = scratch / "chunks"
    train = scratch / "train.jsonl"
    train.write_text("\n".join((folder / "train.jsonl").read_text().splitlines()[:rows]) + "\n")
    return train, folder / "test.jsonl"


def handwritten(subtask: str, train: Path, test: Path, epochs: int, seed: int, output: Path) -> list[str]:
    """The command of the hand-written script."""
    _, column, score = TASKS[subtask]
    settings = {**SETTINGS, "model": minilm(), "train": str(train), "test": str(test), "tags": column,
                "entities": score == "f1", "group_by_length": False, "epochs": epochs, "seed": seed,
                "output": str(output)}  # fmt: skip
    return [sys.executable, str(HERE / "handwritten_token_classification.py"), json.dumps(settings)]


def adapt(subtask: str, train: Path, test: Path, epochs: int, seed: int, output: Path) -> list[str]:
    """The command of Adapt for the same."""
    config = {
        "task": {"name": "token_classification", "subtask": subtask},
        "model": {"path": minilm()},
        "dataset": {
            "path": test_as_validation(train, test, output.with_name(output.name + "-data")),
            "tags_column": TASKS[subtask][1],
        },
        "method": {"name": "lora", **{name: SETTINGS[name] for name in ("r", "alpha", "dropout")}},
        "training": {
            **{name: SETTINGS[name] for name in ("lr", "batch_size")},
            "epochs": epochs,
            "num_workers": 0,
            "group_by_length": False,
        },
        "save": {"name": "none"},
        "seed": seed,
        "output_dir": str(output),
    }
    file = output.with_suffix(".json")
    file.write_text(json.dumps(config))
    return [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"]


def main() -> None:
    """Runs the trials and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("subtask", choices=TASKS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--rows", type=int, default=2500, help="training sentences")
    given = parser.parse_args()
    metric = TASKS[given.subtask][2]
    seconds: dict[str, list[float]] = {"hand-written": [], "Adapt": []}
    scores: dict[str, list[float]] = {"hand-written": [], "Adapt": []}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        train, test = files_of(given.subtask, given.rows, scratch)
        for repeat in range(given.repeats):
            rest: tuple[Any, ...] = (train, test, given.epochs, SEED + repeat)
            script, run = at_once(
                [
                    handwritten(given.subtask, *rest, scratch / f"{repeat}-script"),
                    adapt(given.subtask, *rest, scratch / f"{repeat}-adapt"),
                ],
                swapped=repeat % 2 == 1,
            )
            for who, took, score in (
                ("hand-written", script["seconds"], script["score"]),
                ("Adapt", run["timing_s"]["train"], run["metrics"][metric]),
            ):
                seconds[who].append(took)
                scores[who].append(score)
                print(f"seed {SEED + repeat}, {who}: {took:.1f} s, {metric} {score:.4f}", file=sys.stderr, flush=True)
    ratio = statistics.median(own / its for its, own in zip(*seconds.values(), strict=True))
    print(f"| {given.subtask} | training, s (median) | of hand-written | {metric} (mean) |\n|---|---|---|---|")
    for who, share in (("hand-written", 1.0), ("Adapt", ratio)):
        print(f"| {who} | {statistics.median(seconds[who]):.1f} | {share:.3f} | {statistics.mean(scores[who]):.3f} |")
    apart = statistics.mean(scores["hand-written"]) - statistics.mean(scores["Adapt"])
    verdicts = "EXCEEDED" if ratio > LIMIT else "kept", "MISSED" if apart > WITHIN else "kept"
    print(
        f"\ntime, {LIMIT:.2f} of the script's: {verdicts[0]}; {metric} within {WITHIN} of the script's: {verdicts[1]}"
    )
    sys.exit(verdicts != ("kept", "kept"))


if __name__ == "__main__":
    main()
