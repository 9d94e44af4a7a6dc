"""Two processes by ``adapt run`` and by hand-written scripts under torchrun, in turn; see distributed.py."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import DATA, SEED, SELDOM, minilm, train_and_test

HERE = Path(__file__).parent
LIMIT = 1.05
LORA = {"name": "lora", "r": 8, "alpha": 16, "dropout": 0.0}
TEXTS = {"name": "text_generation", "max_seq_length": 256, "packing": False, "samples": 0}
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def text_classification(_: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the script and Adapt are told: MiniLM, LoRA, rotten_tomatoes; replicated."""
    train, _ = train_and_test("rotten_tomatoes")
    script = {"kind": "classification", "model": minilm(), "train": str(train), "lr": 5e-4, "batch_size": 16}
    config = {"task": "text_classification", "method": LORA, "dataset": {"path": str(train), "max_eval_samples": 16}}
    return script, {**config, "model": {"path": minilm()}, "launch": "ddp"}


def _language(folder: Path) -> tuple[str, str]:
    """A Llama of four layers, 384 wide within, since bitsandbytes takes multiples of 64; texts of GSM8K."""
    from text_generation import texts, tiny_llama

    train, _ = texts("gsm8k", 1000, folder)
    return str(tiny_llama(train, 256, folder / "llama", intermediate=384)), str(train)


def qlora(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The Llama in 4 bits with LoRA; replicated."""
    model, train = _language(folder)
    script = {"kind": "qlora", "model": model, "train": train, "lr": 1e-3, "batch_size": 8}
    config = {
        "task": TEXTS,
        "quantization": {"name": "bnb_4bit", "double_quant": True, "compute_dtype": "float32"},
        "method": LORA,
    }
    return script, {**config, "model": {"path": model}, "dataset": {"path": train}, "launch": "ddp"}


def full(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """All weights of the Llama; sharded."""
    model, train = _language(folder)
    script = {"model": model, "train": train, "lr": 1e-3, "batch_size": 8}
    config = {"task": TEXTS, "method": "full"}
    return script, {**config, "model": {"path": model}, "dataset": {"path": train}, "launch": "fsdp"}


def object_detection(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """All weights of a small RT-DETR on blood cells; replicated. No noisy boxes, which processes draw apart."""
    from annotated_images import write_data
    from object_detection import write_model

    write_model(folder / "detector")
    file = folder / "detector" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"num_denoising": 0}))
    write_data(DATA.parent / "object_detection" / "bccd", folder / "cells", 64)
    model, train = str(folder / "detector"), str(folder / "cells")
    script = {"kind": "detection", "model": model, "train": train, "lr": 1e-3, "batch_size": 4}
    config = {"task": {"name": "object_detection", "augmentation": "none"}, "method": "full", "launch": "ddp"}
    return script, {**config, "model": {"path": model}, "dataset": {"path": train}}


CASES = {each.__name__: each for each in (text_classification, qlora, full, object_detection)}


def compare(name: str, folder: Path, steps: int, repeats: int, environment: Mapping[str, str]) -> bool:
    """Prints rows of a table for one of the cases; whether Adapt keeps the limit."""
    folder.mkdir()
    script, config = CASES[name](folder)
    same = {"lr": script["lr"], "batch_size": script["batch_size"]}
    pairs = []
    for repeat in range(repeats):
        place = folder / str(repeat)
        place.mkdir()
        given = {**script, "steps": steps, "seed": SEED, "output": str(place / "script")}
        training = {**same, **SELDOM, "max_steps": steps, "num_workers": 0, "do_eval": False, "logging_steps": 1}
        launch = {"name": config["launch"], "num_processes": 2, "use_cpu": True}
        told = {**config, "training": {**training, "group_by_length": False}, "launch": launch, "save": "none"}
        if name == "object_detection":
            del told["training"]["group_by_length"]
        runs = [(_theirs, given), (_ours, {**told, "seed": SEED, "output_dir": str(place / "run")})]
        found = {run.__name__: run(settings, place, environment) for run, settings in runs[:: 1 - 2 * (repeat % 2)]}
        pairs.append((found["_theirs"], found["_ours"]))
    rows = 2 * script["batch_size"] * steps
    for who, side in (("torchrun and a script", 0), ("adapt run", 1)):
        seconds, wall = (statistics.median(pair[side][key] for pair in pairs) for key in ("seconds", "wall"))
        peaks = ", ".join(f"{peak / 1e6:.0f}" for peak in pairs[0][side]["peaks"])
        print(f"| {name}, {config['launch']} | {who} | {seconds:.1f} | {rows / seconds:.1f} | {peaks} | {wall:.0f} |")
    ratios = [ours["seconds"] / theirs["seconds"] for theirs, ours in pairs]
    apart = max(
        abs(own - its) / its
        for theirs, ours in pairs
        for its, own in zip(theirs["losses"], ours["losses"], strict=True)
    )
    ratio, spread = statistics.median(ratios), ", ".join(f"{each:.3f}" for each in ratios)
    print(
        f"{name}: {ratio:.3f} of the script's time (pairs: {spread}; limit {LIMIT}); "
        f"losses of {steps} steps differ by at most {apart:.1e} of themselves",
        file=sys.stderr, flush=True,
    )  # fmt: skip
    return ratio <= LIMIT


def _theirs(settings: Mapping[str, Any], place: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    file = HERE / ("handwritten_distributed.py" if "kind" in settings else "handwritten_fsdp.py")
    wall = _run([*TORCHRUN, str(file), json.dumps(settings)], environment)
    return json.loads((place / "script" / "result.json").read_text()) | {"wall": wall}


def _ours(config: Mapping[str, Any], place: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    file = place / "config.json"
    file.write_text(json.dumps(config))
    wall = _run([sys.executable, "-m", "adapt_core.cli", "run", str(file)], environment)
    result = json.loads((place / "run" / "result.json").read_text())
    lines = map(json.loads, (place / "run" / "metrics.jsonl").read_text().splitlines())
    return {
        "seconds": result["timing_s"]["train"],
        "losses": [line["loss"] for line in lines if "loss" in line],
        "peaks": result["peak_memory_bytes_by_process"],
        "wall": wall,
    }


def _run(command: list[str], environment: Mapping[str, str]) -> float:
    """Seconds that a command takes; ends the benchmark where it fails."""
    begin = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} failed:\n{done.stderr[-4000:]}")
    return time.perf_counter() - begin
