"""Several processes: against plain torchrun, FSDP's memory against its closed form, and random kills.

    python benchmarks/distributed.py against [CASE ...] [--steps 30] [--repeats 3]
    python benchmarks/distributed.py memory [--processes 1 2 4]
    python benchmarks/distributed.py kills [--number 50] [--a-run 5] [--at-once 2]

``against`` trains in two processes, by ``adapt run`` and by hand-written scripts under torchrun, in turn. Its cases are
text_classification (MiniLM with LoRA on rotten_tomatoes, DDP), qlora (a Llama of four layers in 4 bits with LoRA on
GSM8K, DDP), full (all of that Llama, FSDP) and object_detection (a small RT-DETR on blood cells, DDP). It prints time,
throughput and memory, medians of the pairs, and exits with 1 where Adapt trains more than 5 % longer. Start-up, loading
and saving are in the wall time alone.

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
from pathlib import Path
from typing import Any

from against_torchrun import CASES, compare

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}


def run(config: dict[str, Any], folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts ``adapt run``."""
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json", *arguments]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=ENVIRONMENT, **pipes)


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a run printed; ends the benchmark where it failed."""
    output, shown = process.communicate()
    if process.returncode:
        sys.exit(f"adapt run failed:\n{shown[-3000:]}")
    return dict(json.loads(output))


def against(folder: Path, options: argparse.Namespace) -> int:
    """Prints a table; 1 where Adapt takes longer than the limit."""
    print("| | | training s | rows/s | peak memory of each, MB | wall s |\n| --- | --- | ---: | ---: | ---: | ---: |")
    kept = [
        compare(name, folder / name, options.steps, options.repeats, {"OMP_NUM_THREADS": "1"}) for name in options.cases
    ]
    return int(not all(kept))


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
            # What is freed goes back to the system at once, and does not stay in the heap.
            ENVIRONMENT.update(RESIDENT_MEMORY=str(place), MALLOC_MMAP_THRESHOLD_="65536")
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
            command.add_argument("cases", nargs="*", default=list(CASES), help=f"of {', '.join(CASES)}")
            command.add_argument("--steps", type=int, default=30)
            command.add_argument("--repeats", type=int, default=3)
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
