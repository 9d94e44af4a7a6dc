"""Several processes: against plain torchrun, FSDP's memory against its closed form, and random kills.

    python benchmarks/distributed.py against [--steps 30]
    python benchmarks/distributed.py memory [--processes 1 2 4]
    python benchmarks/distributed.py kills [--number 50] [--a-run 5] [--at-once 2]

``against`` fine-tunes MiniLM with LoRA on the first rows of rotten_tomatoes in two processes, by ``adapt run`` and by
``handwritten_distributed.py`` under torchrun, in turn, and prints time, throughput and memory. It exits with 1 where
Adapt trains more than 5 % longer.

``memory`` trains all of a Llama of 100 million parameters. It prints what each process has more than one with a tiny
model, before an optimizer step, beside 16 bytes a parameter divided by the processes and what is gathered.

``kills`` runs a small model in two processes, kills one of them or their parent at a random moment of a random phase,
resumes, a few times a run, and counts the kills after which a run came to the weights of one that nobody disturbed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import last_object, minilm, train_and_test

ROWS, BATCH, RANK, RATE = 2000, 16, 8, 5e-4
LIMIT = 1.05
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}


def run(config: dict[str, Any], folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts ``adapt run`` in a session of its own."""
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json", *arguments]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    return subprocess.Popen(command, env=ENVIRONMENT, start_new_session=True, **pipes)


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a run printed; ends the benchmark where it failed."""
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"adapt run failed with {process.returncode}")
    return dict(json.loads(output))


# ---- against plain torchrun ---------------------------------------------------------------------------------------


def against(folder: Path, options: argparse.Namespace) -> int:
    """Prints a table; 1 where Adapt takes longer than the limit."""
    train, _ = train_and_test("rotten_tomatoes")
    settings = {"model": minilm(), "train": str(train), "rows": ROWS, "lr": RATE, "batch_size": BATCH}
    settings |= {"steps": options.steps, "r": RANK, "output": str(folder / "script")}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = [*torchrun, str(Path(__file__).with_name("handwritten_distributed.py")), json.dumps(settings)]
    config = {
        "task": "text_classification",
        "model": {"path": minilm()},
        "dataset": {"path": str(train), "max_train_samples": ROWS, "max_eval_samples": 16},
        "method": {"name": "lora", "r": RANK, "alpha": 8, "dropout": 0.0},
        "training": {
            "max_steps": options.steps, "batch_size": BATCH, "lr": RATE, "num_workers": 0, "do_eval": False,
            "interval": "steps", "interval_steps": options.steps, "logging_steps": 500,
        },
        "save": "none",
        "launch": {"name": "ddp", "num_processes": 2, "use_cpu": True},
        "output_dir": str(folder / "run"),
    }  # fmt: skip
    begin = time.perf_counter()
    done = subprocess.run(script, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    theirs = last_object(done.stdout) | {"wall": time.perf_counter() - begin}
    begin = time.perf_counter()
    result = finished(run(config, folder))
    ours = {
        "seconds": result["timing_s"]["train"],
        "rows_per_second": result["throughput"]["rows_per_second"],
        "peaks": result["peak_memory_bytes_by_process"],
        "wall": time.perf_counter() - begin,
    }
    print("| | training s | rows/s | peak memory of each, MB | wall s |\n| --- | ---: | ---: | ---: | ---: |")
    for name, each in (("torchrun and a script", theirs), ("adapt run", ours)):
        peaks = ", ".join(f"{peak / 1e6:.0f}" for peak in each["peaks"])
        print(f"| {name} | {each['seconds']:.1f} | {each['rows_per_second']:.1f} | {peaks} | {each['wall']:.0f} |")
    ratio = ours["seconds"] / theirs["seconds"]
    print(f"training takes {ratio:.3f} times as long (limit {LIMIT})")
    return int(ratio > LIMIT)


# ---- memory of FSDP -----------------------------------------------------------------------------------------------

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2},
    "100 M": {"hidden_size": 768, "intermediate_size": 2560, "num_hidden_layers": 11},
}


def memory(folder: Path, options: argparse.Namespace) -> int:
    """Prints a table of measured and computed memory."""
    models = {name: llama(folder / name, **sizes) for name, sizes in SIZES.items()}
    print("| processes | parameters | measured, MB each | closed form, MB |\n| ---: | ---: | ---: | ---: |")
    for processes in options.processes:
        found = {}
        for name, (path, _, _) in models.items():
            place = folder / f"{name}-{processes}"
            place.mkdir()
            launch = {"name": "fsdp", "num_processes": processes, "use_cpu": True}
            config = {
                "task": {"name": "text_generation", "max_seq_length": 16, "samples": 0},
                "model": {"path": str(path)},
                "dataset": {"path": str(folder / "facts.jsonl")},
                "method": "full",
                "training": {
                    "max_steps": 3, "batch_size": 1, "num_workers": 0, "do_eval": False, "interval": "steps",
                    "interval_steps": 3, "trackers": ["resident_memory:ResidentMemory"],
                },
                "save": "none",
                "launch": launch,
                "output_dir": str(place / "run"),
            }  # fmt: skip
            ENVIRONMENT["RESIDENT_MEMORY"] = str(place)
            finished(run(config, place))
            found[name] = [int(each.read_text()) for each in sorted(place.glob("rank-*.txt"))]
        _, parameters, gathered = models["100 M"]
        measured = [big - small for big, small in zip(found["100 M"], found["tiny"], strict=True)]
        expected = 16 * parameters / processes + (4 * gathered if processes > 1 else 0)
        shown = ", ".join(f"{each / 1e6:.0f}" for each in measured)
        print(f"| {processes} | {parameters / 1e6:.1f} M | {shown} | {expected / 1e6:.0f} |")
    return 0


def llama(folder: Path, **sizes: int) -> tuple[Path, int, int]:
    """A Llama with random weights: its folder, its parameters, and those of them that stay gathered."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<unk>", "<s>", "</s>", *(f"w{number}" for number in range(100))]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=made, **special).save_pretrained(folder)
    rows = [json.dumps({"text": " ".join(f"w{(start + step) % 100}" for step in range(8))}) for start in range(64)]
    (folder.parent / "facts.jsonl").write_text("\n".join(rows) + "\n")
    vocabulary = 16_000 if sizes["hidden_size"] > 100 else 128
    config = LlamaConfig(vocab_size=vocabulary, num_attention_heads=4, max_position_embeddings=64, **sizes)
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return folder, model.num_parameters(), model.lm_head.weight.numel()


# ---- random kills -------------------------------------------------------------------------------------------------


def kills(folder: Path, options: argparse.Namespace) -> int:
    """Kills runs of a small model; 1 where one came to other weights."""
    from random_kills import kill_often

    path, _, _ = llama(folder / "tiny", **SIZES["tiny"])
    config = {
        "task": {"name": "text_generation", "max_seq_length": 16, "samples": 0},
        "model": {"path": str(path)},
        "dataset": {"path": str(folder / "facts.jsonl")},
        "method": "full",
        "training": {
            "max_steps": 60, "batch_size": 2, "num_workers": 0, "do_eval": False, "interval": "steps",
            "interval_steps": 5, "lr": 1e-3,
        },
        "save": "none",
        "launch": {"name": "fsdp", "num_processes": 2, "use_cpu": True},
    }  # fmt: skip
    chosen = {"a_run": options.a_run, "at_once": options.at_once, "seed": options.seed}
    return kill_often(config, folder, options.number, **chosen)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, function in (("against", against), ("memory", memory), ("kills", kills)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        if name == "against":
            command.add_argument("--steps", type=int, default=30)
        elif name == "memory":
            command.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
        else:
            command.add_argument("--number", type=int, default=50)
            command.add_argument("--a-run", type=int, default=5)
            command.add_argument("--at-once", type=int, default=2)
            command.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return int(options.function(Path(folder), options))


if __name__ == "__main__":
    sys.exit(main())
