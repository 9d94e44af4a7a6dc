"""Runs on checkpoints in 16 bits, to the end: what is saved, exported and merged is what was trained."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import adapt_core

WORDS = ["rain", "sun", "wind", "bread", "soup", "salt"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for index in range(60):
            kind = index % 2
            writer.writerow([" ".join(WORDS[3 * kind + (index * step) % 3] for step in (1, 2, 5)), "ab"[kind]])
    return path


def write_checkpoint(folder: Path, dtype: torch.dtype) -> Path:
    """A BERT, as wide as a block of bitsandbytes, which reads some of its weights in the precision given."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    BertTokenizerFast(vocab={word: index for index, word in enumerate(words)}).save_pretrained(folder)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    torch.manual_seed(0)
    settings: Any = BertConfig
    BertModel(settings(vocab_size=len(words), max_position_embeddings=24, **sizes)).to(dtype).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("dtype", "quantizer"), [(torch.bfloat16, None), (torch.bfloat16, "bnb_4bit"), (torch.float16, "bnb_8bit")]
)
def test_an_adapter_is_saved_exported_and_merged(
    dtype: torch.dtype, quantizer: str | None, texts: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    quantized = {"quantization": {"name": quantizer}} if quantizer else {}
    if quantizer == "bnb_4bit":
        quantized["quantization"] |= {"compute_dtype": "float32"}
    result = adapt_core.run(
        {
            "task": "text_classification",
            "model": {"path": str(write_checkpoint(tmp_path / "model", dtype))},
            "dataset": {"path": str(texts)},
            "method": "lora",
            "training": {"lr": 1e-3, "max_steps": 3, "num_workers": 0},
            "save": "state_dict" if quantizer else "save_pretrained",
            "output_dir": str(run),
            **quantized,
        }
    )
    assert result["reload_difference"]["model"] == 0.0
    assert result["reload_difference"]["export"] < 1e-5
    assert all(each.dtype == torch.float32 for each in load_file(run / "model/adapter_model.safetensors").values())
    merged = adapt_core.merge_run(run, tmp_path / "merged")
    assert merged["difference"] < 1e-5
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["dtype"] == "float32"


def test_a_whole_model_is_saved_in_float32(texts: Path, tmp_path: Path) -> None:
    result = adapt_core.run(
        {
            "task": "text_classification",
            "model": {"path": str(write_checkpoint(tmp_path / "model", torch.bfloat16))},
            "dataset": {"path": str(texts)},
            "method": "full",
            "training": {"lr": 1e-3, "max_steps": 3, "num_workers": 0, "bf16": True},
            "save": "safetensors",
            "output_dir": str(tmp_path / "run"),
        }
    )
    assert result["reload_difference"] == {"model": 0.0, "export": 0.0}
    for file in ("model/model.safetensors", "export/model.safetensors"):
        assert all(each.dtype == torch.float32 for each in load_file(tmp_path / "run" / file).values())
