"""Adapt against a hand-written Trainer + PEFT script: time of training, exact match and F1 of question answering.

    python benchmarks/question_answering.py [--repeats 3] [--epochs 3] [--rows 920] [--max-length 384]

Both train MiniLM with LoRA (r 16, alpha 32, dropout 0.1, all linear layers) on XQuAD's English questions, batch 16,
learning rate 1e-3, windows of 384 tokens that share 128, windows in one order at random, seed 56 and those after it.
They are measured on the other articles. The two of a pair run at the same time, each on half of the cores, and swap
halves from trial to trial.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from common import DATA, SEED, minilm, test_as_validation
from text_classification import LIMIT, at_once

HERE = Path(__file__).parent
SETTINGS = {"lr": 1e-3, "batch_size": 16, "r": 16, "alpha": 32, "dropout": 0.1}
METRICS = ("exact_match", "f1")
WITHIN = 0.03
"""How far below the script's the scores may be."""


def files_of(rows: int, scratch: Path) -> tuple[Path, Path]:
    """The training file, cut to its first rows, and the validation file."""
    folder = (DATA.parent / "question_answering" / "squad_xquad_en").resolve()
    if not folder.is_dir():
        sys.exit(f"The data are missing: there is no {folder}; set ADAPT_TEST_DATA to the folder of data sets")
    train = scratch / "train.jsonl"
    train.write_text("\n".join((folder / "train.jsonl").read_text().splitlines()[:rows]) + "\n")
    return train, folder / "validation.jsonl"


def handwritten(train: Path, test: Path, given: argparse.Namespace, seed: int, output: Path) -> list[str]:
    """The command of the hand-written script."""
    settings = {**SETTINGS, "model": minilm(), "train": str(train), "test": str(test), "epochs": given.epochs,
                "max_length": given.max_length, "seed": seed, "output": str(output)}  # fmt: skip
    return [sys.executable, str(HERE / "handwritten_question_answering.py"), json.dumps(settings)]


def adapt(train: Path, test: Path, given: argparse.Namespace, seed: int, output: Path) -> list[str]:
    """The command of Adapt for the same."""
    config = {
        "task": {"name": "question_answering", "max_length": given.max_length, "doc_stride": given.max_length // 3},
        "model": {"path": minilm()},
        "dataset": {"path": test_as_validation(train, test, output.with_name(output.name + "-data"))},
        "method": {"name": "lora", **{name: SETTINGS[name] for name in ("r", "alpha", "dropout")}},
        "training": {
            **{name: SETTINGS[name] for name in ("lr", "batch_size")},
            "epochs": given.epochs,
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
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--rows", type=int, default=920, help="training questions")
    parser.add_argument("--max-length", type=int, default=384, help="tokens of a window; a third of them is shared")
    given = parser.parse_args()
    seconds: dict[str, list[float]] = {"hand-written": [], "Adapt": []}
    scores: dict[str, list[list[float]]] = {"hand-written": [], "Adapt": []}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        train, test = files_of(given.rows, scratch)
        for repeat in range(given.repeats):
            seed = SEED + repeat
            script, run = at_once(
                [
                    handwritten(train, test, given, seed, scratch / f"{repeat}-script"),
                    adapt(train, test, given, seed, scratch / f"{repeat}-adapt"),
                ],
                swapped=repeat % 2 == 1,
            )
            for who, took, found in (
                ("hand-written", script["seconds"], script),
                ("Adapt", run["timing_s"]["train"], run["metrics"]),
            ):
                seconds[who].append(took)
                scores[who].append([found[metric] for metric in METRICS])
                print(f"seed {seed}, {who}: {took:.1f} s, {scores[who][-1]}", file=sys.stderr, flush=True)
    ratio = statistics.median(own / its for its, own in zip(*seconds.values(), strict=True))
    means = {who: [statistics.mean(values) for values in zip(*each, strict=True)] for who, each in scores.items()}
    print("| | training, s (median) | of hand-written | exact match (mean) | F1 (mean) |\n|---|---|---|---|---|")
    for who, share in (("hand-written", 1.0), ("Adapt", ratio)):
        exact, f1 = means[who]
        print(f"| {who} | {statistics.median(seconds[who]):.1f} | {share:.3f} | {exact:.3f} | {f1:.3f} |")
    apart = max(its - own for its, own in zip(means["hand-written"], means["Adapt"], strict=True))
    verdicts = "EXCEEDED" if ratio > LIMIT else "kept", "MISSED" if apart > WITHIN else "kept"
    print(f"\ntime, {LIMIT:.2f} of the script's: {verdicts[0]}; scores within {WITHIN} of the script's: {verdicts[1]}")
    sys.exit(verdicts != ("kept", "kept"))


if __name__ == "__main__":
    main()
