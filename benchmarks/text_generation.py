"""Adapt against a hand-written SFTTrainer script, and packing against padding.

    python benchmarks/text_generation.py pair [--repeats 3] [--rows 400]
    python benchmarks/text_generation.py packing [--data wnut_17] [--rows 400]

``pair``: both train all of BabyLlama (0.94 M parameters) on questions and answers of GSM8K as plain texts of up to
256 tokens, one epoch of batches of 16, padded, in one order of rows, at a learning rate of 1e-3, and are measured on
the test file. The two of a pair run at the same time, each on half of the cores, and swap halves from trial to trial.

``packing``: a Llama of four layers, 128 wide, made on the spot with a tokenizer of 4,000 parts of words. The script
pads every batch to as many tokens as a text may have, 512 of GSM8K's and 128 of the sentences of WNUT-17; beside it,
in the same way, Adapt pads batches to their longest text, rows at random and of like length, and packs rows of that
length. What counts is tokens a second, without those that pad.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import DATA, SEED, test_as_validation
from text_classification import LIMIT, at_once

HERE = Path(__file__).parent
DATASETS: dict[str, tuple[Path, Callable[[Any], str], int]] = {
    "gsm8k": (DATA.parent / "text_generation" / "gsm8k", "{0[question]}\n{0[answer]}".format, 512),
    "wnut_17": (DATA.parent / "token_classification" / "wnut_17_ner", lambda row: " ".join(row["tokens"]), 128),
}
"""Of each data set the folder, how a row becomes a text, and the most tokens of a text."""
BABYLLAMA = (DATA.parent / "weights" / "babyllama_tok105").resolve()
WITHIN = 0.02
"""How far the perplexities may be apart, as a share."""


def texts(data: str, rows: int, scratch: Path) -> tuple[Path, Path]:
    """Plain texts, of the first rows of the training file, and of the test file."""
    folder, text_of, _ = DATASETS[data]
    if not folder.is_dir():
        sys.exit(f"The data are missing: there is no {folder}; set ADAPT_TEST_DATA to the folder of data sets")
    files = []
    for name, count in (("train", rows), ("test", None)):
        lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[:count]
        made = [{"text": text_of(json.loads(line))} for line in lines]
        files.append(scratch / f"{name}.jsonl")
        files[-1].write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return files[0], files[1]


def handwritten(
    model: Path, train: Path, test: Path, seed: int, output: Path, *, pad_to: int | None = None, **settings: Any
) -> list[str]:
    """The command of the hand-written script."""
    given = {"model": str(model), "train": str(train), "test": str(test), "epochs": 1, "seed": seed, "pad_to": pad_to,
             "output": str(output), **settings}  # fmt: skip
    return [sys.executable, str(HERE / "handwritten_text_generation.py"), json.dumps(given)]


def adapt(
    model: Path,
    train: Path,
    test: Path,
    seed: int,
    output: Path,
    *,
    packing: bool = False,
    group_by_length: bool = False,
    max_length: int,
    **settings: Any,
) -> list[str]:
    """The command of Adapt for the same."""
    config = {
        "task": {"name": "text_generation", "packing": packing, "max_seq_length": max_length, "samples": 0},
        "model": {"path": str(model)},
        "dataset": {"path": test_as_validation(train, test, output.with_name(output.name + "-data"))},
        "method": {"name": "full"},
        "training": {"epochs": 1, "num_workers": 0, "group_by_length": group_by_length, **settings},
        "save": {"name": "none"},
        "seed": seed,
        "output_dir": str(output),
    }
    file = output.with_suffix(".json")
    file.write_text(json.dumps(config))
    return [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"]


def pair(repeats: int, rows: int, scratch: Path) -> bool:
    """The trials of ``pair``; whether the limits are kept."""
    settings = {"lr": 1e-3, "batch_size": 16, "max_length": 256}
    train, test = texts("gsm8k", rows, scratch)
    done: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for repeat in range(repeats):
        seed = SEED + repeat
        commands = [
            handwritten(BABYLLAMA, train, test, seed, scratch / f"{repeat}-script", **settings),
            adapt(BABYLLAMA, train, test, seed, scratch / f"{repeat}-adapt", **settings),
        ]
        script, run = at_once(commands, swapped=repeat % 2 == 1)
        run["before"] = json.loads((scratch / f"{repeat}-adapt" / "metrics.jsonl").read_text().splitlines()[0])
        done.append((script, run))
        shown = f"{script['seconds']:.1f} s and {run['timing_s']['train']:.1f} s"
        print(f"seed {seed}: {shown}, {script['perplexity']:.4f} and {run['metrics']['perplexity']:.4f}",
              file=sys.stderr, flush=True)  # fmt: skip
    ratio = statistics.median(run["timing_s"]["train"] / script["seconds"] for script, run in done)
    columns = {
        "hand-written": [(each["seconds"], each["before"], each["perplexity"]) for each, _ in done],
        "Adapt": [
            (each["timing_s"]["train"], each["before"]["eval_perplexity"], each["metrics"]["perplexity"])
            for _, each in done
        ],
    }
    print("| | training, s (median) | of hand-written | perplexity before | after |\n|---|---|---|---|---|")
    for (who, values), share in zip(columns.items(), (1.0, ratio), strict=True):
        seconds, before, after = zip(*values, strict=True)
        cells = f"{statistics.median(seconds):.1f} | {share:.3f} | {statistics.mean(before):.3f}"
        print(f"| {who} | {cells} | {statistics.mean(after):.3f} |")
    means = [statistics.mean(each[2] for each in values) for values in columns.values()]
    alike = abs(means[1] / means[0] - 1) <= WITHIN
    print(f"\ntime, {LIMIT:.2f} of the script's: {'kept' if ratio <= LIMIT else 'EXCEEDED'}; "
          f"perplexity within {WITHIN:.0%} of the script's: {'kept' if alike else 'MISSED'}")  # fmt: skip
    return ratio <= LIMIT and alike


def tiny_llama(train: Path, longest: int, folder: Path, intermediate: int = 352) -> Path:
    """A Llama with a tokenizer of the training texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=4000, special_tokens=["</s>"], initial_alphabet=alphabet)
    made.train_from_iterator([json.loads(line)["text"] for line in train.read_text().splitlines()], trainer)
    PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", pad_token="</s>").save_pretrained(folder)
    set_seed(SEED)
    sizes: Any = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 8}
    sizes |= {"intermediate_size": intermediate, "vocab_size": 4000, "max_position_embeddings": longest}
    config = LlamaConfig(eos_token_id=0, bos_token_id=None, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def packing(data: str, rows: int, scratch: Path) -> None:
    """The trials of ``packing``, each beside the script."""
    longest = DATASETS[data][2]
    train, test = texts(data, rows, scratch)
    test.write_text("".join(test.read_text().splitlines(keepends=True)[:16]))
    model = tiny_llama(train, longest, scratch / "model")
    settings = {"lr": 1e-3, "batch_size": 8, "max_length": longest}
    given: tuple[Any, ...] = (model, train, test, SEED)
    ways: dict[str, dict[str, bool]] = {
        "padded, rows at random": {},
        "padded, batches of like length": {"group_by_length": True},
        "packed": {"packing": True},
    }
    tokens = 0
    print("| Adapt | tokens a second | script, padded to the longest | ratio |\n|---|---|---|---|")
    for number, (name, way) in enumerate(ways.items()):
        commands = [
            handwritten(*given, scratch / f"{number}-script", pad_to=longest, **settings),
            adapt(*given, scratch / f"{number}-adapt", **way, **settings),
        ]
        script, run = at_once(commands, swapped=number % 2 == 1)
        tokens = script["tokens"]
        speeds = tokens / run["timing_s"]["train"], tokens / script["seconds"]
        print(f"| {name} | {speeds[0]:,.0f} | {speeds[1]:,.0f} | {speeds[0] / speeds[1]:.2f} |", flush=True)
    print(f"\n{tokens:,} tokens in {rows} texts")


def main() -> None:
    """Runs one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("pair", "packing"))
    parser.add_argument("--data", choices=DATASETS, default="gsm8k", help="for packing")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=400)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if arguments.what == "packing":
            packing(arguments.data, arguments.rows, Path(name))
        else:
            sys.exit(not pair(arguments.repeats, arguments.rows, Path(name)))


if __name__ == "__main__":
    main()
