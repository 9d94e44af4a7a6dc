"""Full fine-tuning, LoRA and QLoRA of one large model, each by Adapt and by a hand-written script, in one run.

    python benchmarks/quantized.py [--size 1b] [--steps 60] [--repeats 3] [--json]

The model is a Llama of 1.03 thousand million parameters (TinyLlama's architecture) with random weights, which serve for
memory and speed, and a head of two classes; texts are of 512 random tokens. LoRA has r 8, alpha 16 and no dropout on
all linear layers; QLoRA's base is in nf4 with double quantization. On a GPU all compute in bfloat16. Every training is
a process of its own, Adapt's and the script's by turns. Start-up, loading and saving are not in the times; memory is
the process's peak on the GPU, or in main memory where there is none. ``--size tiny`` is for trying it out on a CPU.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import SEED, last_object

HERE = Path(__file__).parent
LENGTH, BATCH = 512, 8
LORA = {"r": 8, "alpha": 16, "dropout": 0.0}
ROWS: dict[str, dict[str, Any]] = {
    "full": {"method": "full", "bits": None, "lr": 1e-5},
    "LoRA": {"method": "lora", "bits": None, "lr": 2e-4},
    "QLoRA": {"method": "lora", "bits": 4, "lr": 2e-4},
}
SIZES = {
    "1b": {
        "vocab_size": 32000,
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 22,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
    },
    "tiny": {
        "vocab_size": 1000,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}
TIME, MEMORY = 1.05, 1.02
"""The bounds, of the script's own: a process's time and memory vary by less."""


def write_model(folder: Path, size: str) -> int:
    """Saves the model and a tokenizer of whole words; returns the number of parameters."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast, set_seed

    set_seed(SEED)
    shape = SIZES[size]
    words = {"<pad>": 0, "<unk>": 1} | {f"w{index}": index for index in range(2, shape["vocab_size"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(folder)
    model = LlamaForSequenceClassification(LlamaConfig(**shape, num_labels=2, pad_token_id=0))
    model.save_pretrained(folder)
    return sum(each.numel() for each in model.parameters())


def write_data(file: Path, count: int, words: int) -> None:
    """Writes texts of random words with random labels."""
    draw = random.Random(SEED)
    rows = (
        {"text": " ".join(f"w{draw.randrange(2, words)}" for _ in range(LENGTH)), "label": index % 2}
        for index in range(count)
    )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def handwritten(row: Mapping[str, Any], common: Mapping[str, Any], output: Path) -> dict[str, float]:
    """Seconds and peak memory of the script."""
    settings = {**row, **common, **LORA, "batch_size": BATCH, "seed": SEED, "output": str(output)}
    return _printed([sys.executable, str(HERE / "handwritten_quantized.py"), json.dumps(settings)])


def adapt(row: Mapping[str, Any], common: Mapping[str, Any], output: Path) -> dict[str, float]:
    """Seconds and peak memory of Adapt."""
    config: dict[str, Any] = {
        "task": {"name": "text_classification", "max_length": LENGTH},
        "model": {"path": common["model"]},
        "dataset": {"path": common["data"]},
        "method": {"name": row["method"], **(LORA if row["method"] == "lora" else {})},
        "training": {
            "lr": row["lr"],
            "batch_size": BATCH,
            "max_steps": common["steps"],
            "bf16": common["bf16"],
            "num_workers": 0,
            "do_eval": False,
            "checkpoints": 1,
        },
        "save": {"name": "none"},
        "seed": SEED,
        "output_dir": str(output),
    }
    if row["bits"]:
        compute = "bfloat16" if common["bf16"] else "float32"
        config["quantization"] = {"name": "bnb_4bit", "double_quant": True, "compute_dtype": compute}
    file = output.with_suffix(".json")
    file.write_text(json.dumps(config), encoding="utf-8")
    result = _printed([sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"])
    return {"seconds": result["timing_s"]["train"], "peak": result["peak_memory_bytes"]}


def _printed(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:3])} failed:\n{done.stderr[-3000:]}")
    return last_object(done.stdout)


def measured(common: Mapping[str, Any], repeats: int, scratch: Path) -> dict[str, dict[str, list[dict[str, float]]]]:
    """What the runs of each row took: the script's and Adapt's, by turns."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for name, row in ROWS.items():
        done: dict[str, list[dict[str, float]]] = {"hand-written": [], "Adapt": []}
        for repeat in range(repeats):
            for who, run in (("hand-written", handwritten), ("Adapt", adapt)):
                done[who].append(run(row, common, scratch / f"{name}-{repeat}-{who}"))
                print(f"{name}, {who}: {done[who][-1]}", file=sys.stderr, flush=True)
        found[name] = done
    return found


def main() -> int:
    """Runs all and prints a Markdown table, or JSON."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="1b")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", dest="as_json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        count = write_model(scratch / "model", arguments.size)
        write_data(scratch / "data.jsonl", 2 * BATCH * arguments.steps, SIZES[arguments.size]["vocab_size"])
        common = {
            "model": str(scratch / "model"),
            "data": str(scratch / "data.jsonl"),
            "steps": arguments.steps,
            "bf16": torch.cuda.is_available(),
        }
        found = measured(common, arguments.repeats, scratch)
    if arguments.as_json:
        print(json.dumps({"parameters": count, "rows": found}, indent=2))
        return 0

    tokens = arguments.steps * BATCH * LENGTH
    print(
        f"{count:,} parameters, {arguments.steps} steps of {BATCH} x {LENGTH} tokens, median of {arguments.repeats}\n"
    )
    print("| | tokens per second | time, of hand-written | peak memory, GB | memory, of hand-written |")
    print("|---|---|---|---|---|")
    exceeded = []
    for name, done in found.items():
        middle = {
            who: {key: statistics.median(run[key] for run in runs) for key in ("seconds", "peak")}
            for who, runs in done.items()
        }
        ratios = {who: {key: each[key] / middle["hand-written"][key] for key in each} for who, each in middle.items()}
        for who, each in middle.items():
            speed, ratio = tokens / each["seconds"], ratios[who]
            cells = f"{speed:,.0f} | {ratio['seconds']:.3f} | {each['peak'] / 1e9:.2f} | {ratio['peak']:.3f}"
            print(f"| {name}, {who} | {cells} |")
        if ratios["Adapt"]["seconds"] > TIME or ratios["Adapt"]["peak"] > MEMORY:
            exceeded.append(name)
    print(
        f"\nbounds: {TIME} of the script's time, {MEMORY} of its memory; exceeded by: {', '.join(exceeded) or 'none'}"
    )
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
