"""Tiny models of an encoder and a decoder with tokenizers, and a few facts and phrases that they can learn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
    set_seed,
)

THINGS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black", "sun": "yellow", "rose": "red"}
DOCUMENTS = [
    {
        "document": f"We walked along and looked at the {thing}, which was {colour} all day.",
        "summary": f"{colour} {thing}",
    }
    for thing, colour in THINGS.items()
]
PHRASES = [
    {"translation": {"en": english, "sv": swedish}}
    for english, swedish in {
        "the cat": "katten",
        "the dog": "hunden",
        "a house": "ett hus",
        "the old cat sleeps": "den gamla katten sover",
        "the dog runs": "hunden springer",
        "my red house": "mitt röda hus",
    }.items()
]


def texts() -> list[str]:
    """All that the tokenizers have seen."""
    found = [text for row in DOCUMENTS for text in row.values()]
    return found + [text for row in PHRASES for text in row["translation"].values()]


def write_tokenizer(folder: Path, template: str = "$A </s>") -> PreTrainedTokenizerFast:
    """Parts of words; ``template`` says what stands around each text."""
    special = ["<pad>", "</s>", "<unk>", "<s>"]
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(texts(), trainer)
    made.post_processor = TemplateProcessing(single=template, special_tokens=[("</s>", 1), ("<s>", 3)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", bos_token="<s>"
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def write_t5(folder: Path, **config: Any) -> Path:
    """A T5 of two layers each, 64 wide."""
    tokenizer = write_tokenizer(folder)
    set_seed(0)
    sizes: Any = {"vocab_size": len(tokenizer), "d_model": 64, "d_ff": 128, "d_kv": 16, "num_layers": 2, "num_heads": 4}
    tokens = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    T5ForConditionalGeneration(
        T5Config(**{**sizes, **tokens, "dropout_rate": 0.0, "tie_word_embeddings": False, **config})
    ).save_pretrained(folder)
    return folder


def bart_config(vocabulary: int, **config: Any) -> dict[str, Any]:
    """Of two layers each, 64 wide, with 128 positions."""
    sizes = {"d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "max_position_embeddings": 128}
    feeding = {"encoder_ffn_dim": 128, "decoder_ffn_dim": 128}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    return {**sizes, **feeding, **heads, "vocab_size": vocabulary, "dropout": 0.0, "init_std": 0.1, **config}


def write_bart(folder: Path, **config: Any) -> Path:
    """A BART of two layers each, 64 wide, that has 128 positions."""
    tokenizer = write_tokenizer(folder, "<s> $A </s>")
    set_seed(0)
    tokens = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 3, "decoder_start_token_id": 1}
    made = BartConfig(**bart_config(len(tokenizer), **{**tokens, "forced_eos_token_id": None, **config}))
    BartForConditionalGeneration(made).save_pretrained(folder)
    return folder


MODELS = {"t5": write_t5, "bart": write_bart}


def write_rows(path: Path, made: Sequence[Mapping[str, Any]], times: int = 1) -> Path:
    """JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in list(made) * times), encoding="utf-8")
    return path


def write_split(folder: Path, made: Sequence[Mapping[str, Any]], times: int = 8) -> Path:
    """A folder of rows to train on, some times over, and once each to evaluate on."""
    folder.mkdir()
    write_rows(folder / "train.jsonl", made, times)
    write_rows(folder / "validation.jsonl", made)
    return folder


def configuration(task: str, model: Path, data: Path, folder: Path, /, **changes: Any) -> dict[str, Any]:
    """Of a run of summarization or translation (from English to Swedish); sections that are given add to it."""
    languages = {"source_lang": "en", "target_lang": "sv"} if task == "translation" else {}
    lengths = {"max_input_length": 64, "max_target_length": 24, "generation_max_length": 24}
    made: dict[str, Any] = {
        "task": {"name": task, **lengths, **languages},
        "model": {"path": str(model)},
        "dataset": {"path": str(data)},
        "method": {"name": "full"},
        "training": {"lr": 5e-3, "epochs": 12, "batch_size": 6, "num_workers": 0, "scheduler": "constant"},
        "save": {"name": "none"},
        "output_dir": str(folder),
    }
    made["training"] |= {"interval": "steps", "interval_steps": 10_000}
    for key, value in changes.items():
        made[key] = {**made[key], **value} if isinstance(value, Mapping) and key in made else value
    return made
