"""Checkpoints that lack a part of the model, and heads that are larger than it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from adapt_core import AdaptError

BLOCK = 4 * (32 * 32 + 32) + 2 * 32 * 64 + 64 + 32 + 4 * 32  # attention, feed-forward, two normalisations


@pytest.fixture
def without(encoder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a copy of the encoder whose file lacks the weights with some text in their names."""

    def make(*parts: str) -> Path:
        folder = tmp_path / "base"
        shutil.copytree(encoder, folder)
        weights = load_file(folder / "model.safetensors")
        kept = {name: each for name, each in weights.items() if not any(part in name for part in parts)}
        assert len(kept) < len(weights)
        save_file(kept, folder / "model.safetensors", {"format": "pt"})
        return folder

    return make


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def trained(run: Path, name: str) -> bool:
    """Whether what a run saved holds parameters of this part."""
    return any(f".{name}." in f".{key}" for key in load_file(run / "model" / "adapter_model.safetensors"))


@pytest.mark.parametrize(
    ("part", "name", "count"),
    [
        ("layer.1.", "bert.encoder.layer.1", BLOCK),
        ("layer.0.attention.self", "bert.encoder.layer.0.attention.self", 3 * (32 * 32 + 32)),
        ("embeddings.LayerNorm.weight", "bert.embeddings.LayerNorm.weight", 32),
        ("position_embeddings", "bert.embeddings.position_embeddings", 24 * 32),
    ],
)
def test_a_missing_part_of_the_base_is_named_and_trained(
    part: str, name: str, count: int, without: Any, quick: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = without(part)
    quick(model={"path": str(folder)}, method={"name": "lora"})
    text = said(capsys)
    assert f"{folder} holds no weights for {name} ({count:,} of " in text
    assert "it starts at random" in text
    assert trained(tmp_path / "quick", name.removesuffix(".weight"))


@pytest.mark.parametrize(
    "method",
    [
        {"name": "lora", "target_modules": ["query"]},
        {"name": "lora", "target_modules": r".*\.query"},
        {"name": "lora", "target_modules": "all-linear"},
        {"name": "ssf"},
        {"name": "bitfit"},
        {"name": "bottleneck"},
        {"name": "ia3"},
        {"name": "prompt_tuning", "num_virtual_tokens": 2},
        {"name": "last_layer"},
        {"name": "full"},
    ],
    ids=lambda each: "-".join(map(str, each.values())),
)
def test_no_method_leaves_a_random_block_as_it_is(method: dict[str, Any], without: Any, quick: Any) -> None:
    """Its every weight is trained, beside the head."""
    short = {"name": "text_classification", "max_length": 8}  # virtual tokens take positions too
    result = quick(model={"path": str(without("layer.1."))}, method=method, task=short)
    assert result["parameters"]["trainable"] >= BLOCK + 3 * 32 + 3


def test_several_parts_are_named(without: Any, quick: Any, capsys: pytest.CaptureFixture[str]) -> None:
    quick(model={"path": str(without("layer.1.output", "token_type"))}, method={"name": "lora"})
    text = said(capsys)
    assert "bert.embeddings.token_type_embeddings, bert.encoder.layer.1.output (" in text
    assert "they start at random" in text


def test_a_new_head_and_a_new_pooler_are_not_told(without: Any, quick: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Every base is without a head, and a checkpoint of a language model is without a pooler."""
    quick(model={"path": str(without("pooler"))}, method={"name": "lora"})
    assert "holds no weights" not in said(capsys)


def test_most_of_the_base_must_be_there(without: Any, quick: Any) -> None:
    with pytest.raises(AdaptError, match="holds no weights for most of BertForSequenceClassification"):
        quick(model={"path": str(without("layer."))}, method={"name": "lora"})


@pytest.mark.parametrize("method", ["lora", "full", "last_layer"])
def test_a_new_head_may_be_larger_than_the_base(method: str, encoder: Path, quick: Any, tmp_path: Path) -> None:
    data = tmp_path / "many.csv"
    data.write_text("text,label\n" + "".join(f"rain {i % 1500},product {i % 1500}\n" for i in range(3000)))
    result = quick(dataset={"path": str(data)}, method={"name": method}, training={"do_eval": False})
    head = 1500 * 32 + 1500
    assert head > sum(each.numel() for each in load_file(encoder / "model.safetensors").values())
    assert result["parameters"]["trainable"] >= head
