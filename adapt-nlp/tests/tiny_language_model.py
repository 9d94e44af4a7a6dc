"""A tiny Llama with a tokenizer and a chat template, and a few facts that it can learn, in every format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

FACTS = {
    "the sky": "blue",
    "the grass": "green",
    "the snow": "white",
    "the coal": "black",
    "the sun": "yellow",
    "the rose": "red",
}

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
MARKED = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}{{ eos_token }}{% endgeneration %}"
    "{% else %}{{ message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""The same, with marks around what the assistant says."""


def write_tokenizer(folder: Path, **names: Any) -> PreTrainedTokenizerFast:
    """Parts of words, ``<s>`` before each text, and no padding token."""
    special = ["<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>"]
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([row["text"] for row in rows("text")], trainer)
    made.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made,
        **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "chat_template": TEMPLATE, **names},
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def write_llama(folder: Path, **config: Any) -> Path:
    """A Llama of two layers, 64 wide, that has 512 positions."""
    tokenizer = write_tokenizer(folder)
    set_seed(0)
    settings = LlamaConfig(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "initializer_range": 0.1,
            **config,
        }
    )
    LlamaForCausalLM(settings).save_pretrained(folder)
    return folder


def rows(kind: str) -> list[dict[str, Any]]:
    """The facts in a format, once each."""
    made: list[dict[str, Any]] = []
    for thing, colour in FACTS.items():
        question, answer = f"What colour is {thing}?", f"It is {colour}."
        made.append(
            {
                "text": {"text": f"{question} {answer}"},
                "prompt_completion": {"prompt": question, "completion": f" {answer}"},
                "instruction": {"instruction": question, "input": "", "output": answer},
                "chat": {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]},
                "sharegpt": {
                    "conversations": [
                        {"from": "system", "value": "Be short."},
                        {"from": "human", "value": question},
                        {"from": "gpt", "value": answer},
                    ]
                },
            }[kind]
        )
    return made


def write_rows(path: Path, made: list[dict[str, Any]], times: int = 1) -> Path:
    """JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in made * times), encoding="utf-8")
    return path


def write_split(folder: Path, kind: str, times: int = 8) -> Path:
    """A folder of the facts to train on, some times over, and once each to evaluate on."""
    folder.mkdir()
    write_rows(folder / "train.jsonl", rows(kind), times)
    write_rows(folder / "validation.jsonl", rows(kind))
    return folder


def configuration(model: Path, data: Path, folder: Path, **changes: Mapping[str, Any] | str) -> dict[str, Any]:
    """Of a run that learns the facts; sections that are given add to it."""
    made: dict[str, Any] = {
        "task": {"name": "text_generation", "max_seq_length": 64, "samples": 2, "sample_tokens": 12},
        "model": {"path": str(model)},
        "dataset": {"path": str(data)},
        "method": {"name": "full"},
        "training": {"lr": 1e-2, "epochs": 10, "batch_size": 4, "num_workers": 0, "scheduler": "constant"},
        "save": {"name": "none"},
        "output_dir": str(folder),
    }
    for key, value in changes.items():
        made[key] = {**made[key], **value} if isinstance(value, Mapping) and key in made else value
    return made
