"""What methods learn at several learning rates, in a short and in a long run: how their recommended rates are chosen.

    python benchmarks/rates.py [METHOD[,OPTION=VALUE...]:RATE[,RATE...] ...] [--output runs/rates]

MiniLM is trained on rotten_tomatoes (two labels) and on banking77 (77), each for 200 and for 1,000 steps of 16 rows,
with texts cut to 32 tokens. The measure is accuracy on a fifth of the training file, which is held out. Rows are
methods with options of theirs; without any, those of the table in the documentation. What is done stays in the output
folder and is not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import SEED, minilm, train_and_test

import adapt_core

DATASETS = ("rotten_tomatoes", "banking77")
STEPS = {"short": 200, "long": 1000}
ROWS = (
    "adalora:2e-3,5e-3,1e-2,2e-2",
    "adalora,tinit=0,tfinal=0:2e-3,5e-3,1e-2",
    "last_layer:1e-3,1e-2,5e-2",
    "lora:5e-4,2e-3",
    "full:5e-5",
)


@dataclass(frozen=True)
class Row:
    """A method with options of its own, at a learning rate."""

    method: str
    options: tuple[str, ...]
    rate: float

    @property
    def name(self) -> str:
        """As a table and a folder show it."""
        return ", ".join((self.method, *self.options))

    @classmethod
    def parse(cls, text: str) -> list[Row]:
        """The rows of ``METHOD[,OPTION=VALUE...]:RATE[,RATE...]``."""
        head, _, rates = text.rpartition(":")
        method, *options = head.split(",")
        return [cls(method, tuple(options), float(rate)) for rate in rates.split(",")]


def result(row: Row, dataset: str, steps: int, output: Path) -> dict[str, Any]:
    """The result of a run, or of the finished one that is there."""
    folder = output / dataset / str(steps) / "-".join((row.method, *row.options, f"{row.rate:g}"))
    if not (folder / "result.json").is_file():
        config = {
            "task": {"name": "text_classification", "max_length": 32},
            "model": {"path": minilm()},
            "dataset": {"path": str(train_and_test(dataset)[0]), "validation_share": 0.2},
            "method": {"name": row.method},
            "training": {
                "max_steps": steps,
                "lr": row.rate,
                "batch_size": 16,
                "num_workers": 0,
                "interval": "steps",
                "interval_steps": steps,
                "checkpoints": 1,
            },
            "save": {"name": "none"},
            "seed": SEED,
            "output_dir": str(folder),
        }
        adapt_core.run(config, [f"method.{option}" for option in row.options], overwrite=True)
    return dict(json.loads((folder / "result.json").read_text(encoding="utf-8")))


def table(rows: Sequence[Row], columns: Sequence[tuple[str, str]], output: Path) -> str:
    """The rows as Markdown, with a column for each data set and length."""
    lines = [
        f"| method | learning rate | {' | '.join(f'{dataset}, {length}' for dataset, length in columns)} |",
        "|---|---|" + "---|" * len(columns),
    ]
    for row in rows:
        found = [result(row, dataset, STEPS[length], output)["metrics"]["accuracy"] for dataset, length in columns]
        lines.append(f"| {row.name} | {row.rate:g} | {' | '.join(f'{each:.3f}' for each in found)} |")
    return "\n".join(lines)


def main() -> int:
    """Runs what is missing, the short runs first, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="METHOD[,OPTION=VALUE...]:RATE[,RATE...]", default=ROWS)
    parser.add_argument("--data", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--length", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--output", type=Path, default=Path("runs/rates"), help="folder of the runs")
    arguments = parser.parse_args()
    output = arguments.output.resolve()
    rows = [row for text in arguments.rows for row in Row.parse(text)]
    columns = [(dataset, length) for length in arguments.length for dataset in arguments.data]
    for dataset, length in columns:
        for row in rows:
            found = result(row, dataset, STEPS[length], output)
            shown = f"{found['metrics']['accuracy']:.3f} in {found['timing_s']['train']:.0f} s"
            print(f"{dataset}, {length}, {row.name} at {row.rate:g}: {shown}", file=sys.stderr, flush=True)
    print(table(rows, columns, output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
