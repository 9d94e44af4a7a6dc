"""Every method on one task, each at its recommended learning rate: what it learns, and what it costs.

    python benchmarks/methods.py [METHOD | METHOD+QUANTIZER ...] [--output runs/methods] [--json]

MiniLM is trained on rotten_tomatoes for three epochs with batch 16 and the method's other options at their defaults,
from three seeds, and measured on the test file. Every run is a process of its own, one at a time, by turns: all methods
from the first seed, then all from the second. What is done stays in the output folder, one run folder each, and is not
done again, so that an interrupted benchmark goes on where it stopped. Start-up, loading, evaluation and saving are
not in the times. Exits with 1 where a method does no better than the most frequent label.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import SEED, minilm, test_as_validation, train_and_test

from adapt_core.errors import AdaptError
from adapt_core.kinds import Kind
from adapt_core.plugins.registry import Registry

DATASET = "rotten_tomatoes"
METHODS = ("full", "last_layer", "bitfit", "ssf", "ia3", "lora", "dora", "adalora", "bottleneck")
ROWS = (*METHODS, "lora+bnb_4bit", "ssf+bnb_4bit")
"""The rows by default, of those that are installed."""


@dataclass(frozen=True)
class Row:
    """What the runs of one method found, over the seeds.

    Attributes:
        method: its name, with ``+`` and the quantizer's.
        learning_rate: the peak.
        accuracy: on the test file, by seed.
        trainable: parameters that were trained, the head's included.
        file_bytes: of the weights in ``model/``.
        seconds: of training, by seed.
        peak_memory_bytes: the largest of the process, over the seeds.
    """

    method: str
    learning_rate: float
    accuracy: list[float]
    trainable: int
    file_bytes: int
    seconds: list[float]
    peak_memory_bytes: int


def installed(names: Sequence[str], registry: Registry) -> list[str]:
    """Those of the rows whose plugins are there."""
    have = {kind: registry.names(kind) for kind in (Kind.METHOD, Kind.QUANTIZER)}
    parts = {name: name.partition("+") for name in names}
    return [
        name
        for name, (method, _, quantizer) in parts.items()
        if method in have[Kind.METHOD] and (not quantizer or quantizer in have[Kind.QUANTIZER])
    ]


def configuration(row: str, seed: int, arguments: argparse.Namespace, registry: Registry) -> dict[str, Any]:
    """One run, as a configuration. Raises AdaptError for a method or quantizer that is not installed."""
    method, _, quantizer = row.partition("+")
    spec: Any = registry.get(Kind.METHOD, method).spec
    output: Path = arguments.output
    dataset: dict[str, Any] = {"path": test_as_validation(*train_and_test(DATASET), output / "data")}
    if arguments.rows is not None:
        dataset["max_train_samples"] = arguments.rows
    config = {
        "task": "text_classification",
        "model": {"path": minilm()},
        "dataset": dataset,
        "method": {"name": spec.name},
        "training": {
            "epochs": arguments.epochs,
            "lr": spec.learning_rate,
            "batch_size": 16,
            "num_workers": 0,
            "checkpoints": 1,
        },
        "save": {"name": "none"},
        "seed": seed,
        "output_dir": str(output / f"{row}-{seed}"),
    }
    if quantizer:
        config["quantization"] = {"name": registry.get(Kind.QUANTIZER, quantizer).spec.name}
        if quantizer == "bnb_4bit":
            config["quantization"]["compute_dtype"] = "float32"  # a CPU multiplies slowly in float16, the default
    return config


def run(config: dict[str, Any]) -> dict[str, Any]:
    """The result of a run, in a process of its own, or of the finished one that the same configuration left."""
    folder = Path(config["output_dir"])
    file, text = folder.with_name(f"{folder.name}.json"), json.dumps(config, indent=2)
    result = folder / "result.json"
    if not (result.is_file() and file.is_file() and file.read_text(encoding="utf-8") == text):
        file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--overwrite"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(result.read_text(encoding="utf-8")))


def row_of(method: str, configs: Sequence[dict[str, Any]]) -> Row:
    """What finished runs of a method found."""
    results = [run(config) for config in configs]
    weights = list((Path(configs[0]["output_dir"]) / "model").glob("*.safetensors"))
    return Row(
        method=method,
        learning_rate=configs[0]["training"]["lr"],
        accuracy=[result["metrics"]["accuracy"] for result in results],
        trainable=results[0]["parameters"]["trainable"],
        file_bytes=sum(file.stat().st_size for file in weights),
        seconds=[result["timing_s"]["train"] for result in results],
        peak_memory_bytes=max(result["peak_memory_bytes"] for result in results),
    )


def majority() -> tuple[float, int]:
    """The share of the test rows that have the most frequent label of the training rows, and their number."""
    train, test = (
        [json.loads(line)["label"] for line in file.read_text(encoding="utf-8").splitlines()]
        for file in train_and_test(DATASET)
    )
    return test.count(Counter(train).most_common(1)[0][0]) / len(test), len(test)


def table(rows: Sequence[Row], baseline: float) -> str:
    """The rows as Markdown; in file and memory a megabyte is 10^6 bytes."""
    lines = [
        "| method | learning rate | accuracy | trainable | file, bytes | training, s | peak memory, MB |",
        "|---|---|---|---|---|---|---|",
        f"| most frequent label | | {baseline:.3f} | | | | |",
    ]
    for row in rows:
        deviation = f" ± {statistics.stdev(row.accuracy):.3f}" if len(row.accuracy) > 1 else ""
        cells = (
            row.method,
            f"{row.learning_rate:g}",
            f"{statistics.mean(row.accuracy):.3f}{deviation}",
            f"{row.trainable:,}",
            f"{row.file_bytes:,}",
            f"{statistics.median(row.seconds):.1f}",
            f"{row.peak_memory_bytes / 1e6:,.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", metavar="METHOD[+QUANTIZER]", help=f"rows; by default {', '.join(ROWS)}")
    parser.add_argument("--output", type=Path, default=Path("runs/methods"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[SEED, SEED + 1, SEED + 2])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rows", type=int, help="train on so many rows only, to try it out")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON in place of the table")
    arguments = parser.parse_args()
    arguments.output = arguments.output.resolve()
    registry = Registry.load()
    names = list(dict.fromkeys(arguments.methods)) or installed(ROWS, registry)
    try:
        plan = {name: [configuration(name, seed, arguments, registry) for seed in arguments.seeds] for name in names}
    except AdaptError as error:
        sys.exit(str(error))

    for index, seed in enumerate(arguments.seeds):
        for name, configs in plan.items():
            result = run(configs[index])
            shown = f"{result['metrics']['accuracy']:.3f} in {result['timing_s']['train']:.1f} s"
            print(f"seed {seed}, {name}: {shown}", file=sys.stderr, flush=True)

    rows = [row_of(name, configs) for name, configs in plan.items()]
    baseline, count = majority()
    error = math.sqrt(baseline * (1 - baseline) / count)
    idle = [row.method for row in rows if statistics.mean(row.accuracy) <= baseline + 2 * error]
    if arguments.as_json:
        print(json.dumps({"majority": baseline, "test_rows": count, "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        seeds = ", ".join(map(str, arguments.seeds))
        print(f"{DATASET}, {arguments.epochs} epochs, seeds {seeds}: mean ± standard deviation of accuracy on {count}")
        print(f"test rows, median seconds, largest peak\n\n{table(rows, baseline)}")
    if idle:
        print(f"\nno better than the most frequent label by two standard errors: {', '.join(idle)}", file=sys.stderr)
    return 1 if idle else 0


if __name__ == "__main__":
    sys.exit(main())
