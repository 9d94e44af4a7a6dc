"""Loading a checkpoint for any task: its precision, its padding, and what it lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForTokenClassification,
    PreTrainedTokenizerFast,
)

from adapt_core.bundles import Model
from adapt_core.config import ModelOptions
from adapt_core.errors import AdaptError
from adapt_core.models.pretrained import load_model
from adapt_core.testing import MODELS


def tokenizer(**names: Any) -> Any:
    words = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"w{index}": index for index in range(3, 60)}}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(words, "<unk>")), **names)


def load(auto_class: Any, folder: Path, processor: Any = None, **config: Any) -> Model:
    return load_model(auto_class, ModelOptions(path=str(folder)), processor, config=config)


def drop(folder: Path, *parts: str) -> None:
    """Takes weights out of a checkpoint, by a part of their names."""
    weights = load_file(folder / "model.safetensors")
    kept = {name: each for name, each in weights.items() if not any(part in name for part in parts)}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("kind", "auto_class", "head"),
    [
        ("causal_lm", AutoModelForCausalLM, ()),
        ("tied_lm", AutoModelForCausalLM, ()),
        ("encoder", AutoModelForTokenClassification, ("classifier",)),
        ("encoder", AutoModelForQuestionAnswering, ("qa_outputs",)),
        ("encoder_decoder", AutoModelForSeq2SeqLM, ()),
        ("vision_transformer", AutoModelForImageClassification, ("classifier",)),
        ("convolutional", AutoModelForImageClassification, ("classifier",)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_kind_of_model_is_loaded_in_float32(
    dtype: torch.dtype, kind: str, auto_class: Any, head: tuple[str, ...], tmp_path: Path
) -> None:
    plain: Any = MODELS[kind].seeded().to(dtype)
    plain.save_pretrained(tmp_path)
    processor = None if kind in ("vision_transformer", "convolutional") else tokenizer(eos_token="</s>")
    model = load(auto_class, tmp_path, processor)
    assert {each.dtype for each in model.module.parameters()} == {torch.float32}
    assert all(not each.is_floating_point() or each.dtype == torch.float32 for each in model.module.buffers())
    kept = {name: each.float() for name, each in plain.state_dict().items() if not name.startswith(head or "\0")}
    own = model.module.state_dict()
    assert all(torch.equal(own[name], each) for name, each in kept.items() if name in own)
    assert model.hints.head == head
    size = 4 * sum(each.numel() for each in model.module.parameters()) / 1000
    shown = f"{size:.0f}" if size >= 100 else f"{size:.1f}"
    (notice,) = model.notices
    assert f"is stored in {str(dtype)[6:]}. It is loaded in float32 and takes {shown} kB" in notice


def test_a_checkpoint_in_float32_needs_no_word(tmp_path: Path) -> None:
    MODELS["causal_lm"].seeded().save_pretrained(tmp_path)  # type: ignore[operator]
    assert load(AutoModelForCausalLM, tmp_path, tokenizer(pad_token="</s>")).notices == ()


def test_an_output_layer_that_is_missing_is_told(tmp_path: Path) -> None:
    """It is no head for a task: it had to come with the model."""
    MODELS["causal_lm"].seeded().save_pretrained(tmp_path)  # type: ignore[operator]
    drop(tmp_path, "lm_head")
    (notice,) = load(AutoModelForCausalLM, tmp_path, tokenizer(pad_token="</s>")).notices
    assert f"holds no weights for lm_head ({60 * 64:,} of" in notice


def test_a_part_of_a_vision_model_that_is_missing_is_told(tmp_path: Path) -> None:
    MODELS["vision_transformer"].seeded().save_pretrained(tmp_path)  # type: ignore[operator]
    drop(tmp_path, "layers.1.", "layer.1.", "cls_token")
    model = load(AutoModelForImageClassification, tmp_path)
    (notice,) = model.notices
    assert "cls_token" in notice and ".1 (" in notice and "they start at random" in notice


def test_most_of_a_vision_model_must_be_there(tmp_path: Path) -> None:
    MODELS["vision_transformer"].seeded().save_pretrained(tmp_path)  # type: ignore[operator]
    drop(tmp_path, "layer")
    with pytest.raises(AdaptError, match="holds no weights for most of ViTForImageClassification"):
        load(AutoModelForImageClassification, tmp_path)


def test_a_language_model_and_its_tokenizer_pad_alike(tmp_path: Path) -> None:
    plain: Any = MODELS["causal_lm"].seeded()
    plain.config.pad_token_id = 7  # a word
    plain.save_pretrained(tmp_path)
    model = load(AutoModelForCausalLM, tmp_path, tokenizer(eos_token="</s>", unk_token="<unk>"))
    assert model.module.config.pad_token_id == model.processor.pad_token_id == 2
