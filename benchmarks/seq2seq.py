"""Adapt against a hand-written Seq2SeqTrainer script: time of training and score, for summarization and translation.

    python benchmarks/seq2seq.py summarization t5 [--repeats 3] [--epochs 1] [--rows 1000]

Both train every weight of a small T5 or BART that is built on the spot (three layers each of encoder and decoder, 128
wide, no dropout, random weights, a tokenizer of 4,000 parts of words of the training texts), batch 16, learning rate
2e-3, rows in one order at random, seed 56 and those after it. They are measured on 100 rows of the test file by what
they generate: ROUGE-L of SciTLDR's summaries, BLEU of Tatoeba's Swedish sentences. A model that knows nothing before
scores low in so short a time: what counts is that the two agree. The two of a pair run at the same time, each on half
of the cores, and swap halves from trial to trial.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import DATA, SEED
from text_classification import LIMIT, at_once

HERE = Path(__file__).parent
SETTINGS = {"lr": 2e-3, "batch_size": 16}
TASKS: dict[str, dict[str, Any]] = {
    "summarization": {"data": "scitldr", "metric": "rougeL", "prefix": "summarize: ", "lengths": (128, 32)},
    "translation": {"data": "tatoeba_en_sv", "metric": "bleu", "prefix": "", "lengths": (32, 32)},
}
TEST_ROWS = 100
WITHIN = 2.0
"""How far the scores, from 0 to 100, may be apart."""

BUILD = """
import json, sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import (BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast, T5Config,
                          T5ForConditionalGeneration, set_seed)
kind, train, folder = sys.argv[1:]
rows = [json.loads(line) for line in open(train, encoding="utf-8")]
made = Tokenizer(models.BPE())
made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
trainer = trainers.BpeTrainer(vocab_size=4000, special_tokens=["<pad>", "</s>", "<s>"], show_progress=False,
                              initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
made.train_from_iterator((text for row in rows for text in row.values()), trainer)
template = "$A </s>" if kind == "t5" else "<s> $A </s>"
made.post_processor = TemplateProcessing(single=template, special_tokens=[("</s>", 1), ("<s>", 2)])
tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="</s>", bos_token="<s>")
tokenizer.save_pretrained(folder)
set_seed(0)
tokens = {"vocab_size": len(tokenizer), "d_model": 128, "pad_token_id": 0, "eos_token_id": 1}
if kind == "t5":
    model = T5ForConditionalGeneration(T5Config(num_layers=3, num_heads=4, d_kv=32, d_ff=512, dropout_rate=0.0,
                                                decoder_start_token_id=0, **tokens))
else:
    model = BartForConditionalGeneration(BartConfig(
        encoder_layers=3, decoder_layers=3, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=512,
        decoder_ffn_dim=512, max_position_embeddings=512, dropout=0.0, bos_token_id=2, decoder_start_token_id=1,
        forced_eos_token_id=None, **tokens))
model.generation_config.max_length = None
model.save_pretrained(folder)
"""
"""Makes a model in a process of its own, so that this one never imports torch."""


def files_of(task: str, rows: int, scratch: Path) -> tuple[Path, Path]:
    """The training file, cut to its first rows, and the test file, with ``source`` and ``target``."""
    folder = (DATA.parent / task / TASKS[task]["data"]).resolve()
    if not folder.is_dir():
        sys.exit(f"The data are missing: there is no {folder}; set ADAPT_TEST_DATA to the folder of data sets")
    found = []
    for split, count in (("train", rows), ("test", TEST_ROWS)):
        lines = (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()[:count]
        pairs = [pair_of(json.loads(line)) for line in lines]
        name = "validation" if split == "test" else split
        found.append(scratch / "data" / f"{name}.jsonl")
        found[-1].parent.mkdir(exist_ok=True)
        found[-1].write_text("".join(json.dumps({"source": a, "target": b}) + "\n" for a, b in pairs))
    return found[0], found[1]


def pair_of(row: dict[str, Any]) -> Sequence[str]:
    """A text and what is to be written."""
    if "translation" in row:
        return row["translation"]["en"], row["translation"]["sv"]
    return row["document"], row["summary"]


def handwritten(task: str, model: Path, files: tuple[Path, Path], epochs: float, seed: int, output: Path) -> list[str]:
    """The command of the hand-written script."""
    longest_input, longest_target = TASKS[task]["lengths"]
    settings = {**SETTINGS, "model": str(model), "train": str(files[0]), "test": str(files[1]),
                "prefix": TASKS[task]["prefix"], "longest_input": longest_input, "longest_target": longest_target,
                "metric": TASKS[task]["metric"], "epochs": epochs, "seed": seed, "output": str(output)}  # fmt: skip
    return [sys.executable, str(HERE / "handwritten_seq2seq.py"), json.dumps(settings)]


def adapt(task: str, model: Path, files: tuple[Path, Path], epochs: float, seed: int, output: Path) -> list[str]:
    """The command of Adapt for the same."""
    longest_input, longest_target = TASKS[task]["lengths"]
    config = {
        "task": {
            "name": task,
            "prefix": TASKS[task]["prefix"],
            "max_input_length": longest_input,
            "max_target_length": longest_target,
            "generation_max_length": longest_target,
            "eval_metric": "bleu" if TASKS[task]["metric"] == "bleu" else "rouge",
        },
        "model": {"path": str(model)},
        "dataset": {"path": str(files[0].parent)},
        "method": {"name": "full"},
        "training": {**SETTINGS, "epochs": epochs, "num_workers": 0, "group_by_length": False},
        "save": {"name": "none"},
        "seed": seed,
        "output_dir": str(output),
    }
    if task == "translation":
        config["task"] |= {"source_lang": "en", "target_lang": "sv"}
    file = output.with_suffix(".json")
    file.write_text(json.dumps(config))
    return [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"]


def losses_of(run: Path) -> list[float]:
    """The first and the last loss that a run of Adapt logged."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = [line["loss"] for line in lines if "loss" in line]
    return [found[0], found[-1]]


def main() -> None:
    """Runs the trials and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("model", choices=("t5", "bart"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--rows", type=int, default=1000, help="training rows")
    given = parser.parse_args()
    metric = TASKS[given.task]["metric"]
    seconds: dict[str, list[float]] = {"hand-written": [], "Adapt": []}
    scores: dict[str, list[float]] = {"hand-written": [], "Adapt": []}
    losses: dict[str, list[list[float]]] = {"hand-written": [], "Adapt": []}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        files = files_of(given.task, given.rows, scratch)
        model = scratch / "model"
        subprocess.run([sys.executable, "-c", BUILD, given.model, str(files[0]), str(model)], check=True)
        for repeat in range(given.repeats):
            rest: tuple[Any, ...] = (model, files, given.epochs, SEED + repeat)
            script, run = at_once(
                [
                    handwritten(given.task, *rest, scratch / f"{repeat}-script"),
                    adapt(given.task, *rest, scratch / f"{repeat}-adapt"),
                ],
                swapped=repeat % 2 == 1,
            )
            for who, took, score, loss in (
                ("hand-written", script["seconds"], script["score"], script["losses"]),
                ("Adapt", run["timing_s"]["train"], run["metrics"][metric], losses_of(scratch / f"{repeat}-adapt")),
            ):
                seconds[who].append(took)
                scores[who].append(score)
                losses[who].append(loss)
                print(f"seed {SEED + repeat}, {who}: {took:.1f} s, {metric} {score:.2f}, loss {loss[0]:.3f} to "
                      f"{loss[1]:.3f}", file=sys.stderr, flush=True)  # fmt: skip
    ratio = statistics.median(own / its for its, own in zip(*seconds.values(), strict=True))
    print(f"| {given.task}, {given.model} | training, s (median) | of hand-written | {metric} (mean) | loss, first and "
          "last (mean) |\n|---|---|---|---|---|")  # fmt: skip
    for who, share in (("hand-written", 1.0), ("Adapt", ratio)):
        first, last = (statistics.mean(each) for each in zip(*losses[who], strict=True))
        print(f"| {who} | {statistics.median(seconds[who]):.1f} | {share:.3f} | {statistics.mean(scores[who]):.2f} | "
              f"{first:.3f}, {last:.3f} |")  # fmt: skip
    apart = statistics.mean(scores["hand-written"]) - statistics.mean(scores["Adapt"])
    falling = all(last < first for first, last in losses["Adapt"])
    verdicts = (
        "EXCEEDED" if ratio > LIMIT else "kept",
        "MISSED" if apart > WITHIN else "kept",
        "kept" if falling else "MISSED",
    )
    print(f"\ntime, {LIMIT:.2f} of the script's: {verdicts[0]}; {metric} within {WITHIN}: {verdicts[1]}; falling "
          f"loss: {verdicts[2]}")  # fmt: skip
    sys.exit(verdicts != ("kept", "kept", "kept"))


if __name__ == "__main__":
    main()
