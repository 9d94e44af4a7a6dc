"""Soft prompts on models whose sizes PEFT does not find, or that take none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from adapt_core import AdaptError, apply_method

SIZES = {"vocab_size": 20, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "pad_token_id": 0}


def albert() -> Any:
    """Its embeddings are narrower than its layers."""
    from transformers import AlbertConfig, AlbertForSequenceClassification

    return AlbertForSequenceClassification(AlbertConfig(embedding_size=8, num_attention_heads=2, **SIZES))  # type: ignore[arg-type]


def distilbert() -> Any:
    """It has names of its own for all sizes."""
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    sizes = {"vocab_size": 20, "dim": 16, "hidden_dim": 16, "n_layers": 2, "n_heads": 2}
    return DistilBertForSequenceClassification(DistilBertConfig(**sizes))  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning"])
@pytest.mark.parametrize("made", [albert, distilbert])
def test_tokens_are_as_wide_as_the_embeddings(made: Any, method: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = made().eval()
    state = {name: each.clone() for name, each in base.state_dict().items()}
    adapted = apply_method(base, method, num_virtual_tokens=3)
    batch = {"input_ids": torch.tensor([[5, 6, 7]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)}
    adapted(**batch, labels=torch.tensor([1])).loss.backward()
    assert all(each.grad is not None for each in adapted.prompt_encoder.parameters() if each.requires_grad)
    adapted.eval().save_pretrained(tmp_path)
    again = made()
    again.load_state_dict(state)
    loaded = peft.PeftModel.from_pretrained(again, str(tmp_path)).eval()
    with torch.no_grad():
        assert torch.allclose(loaded(**batch).logits, adapted(**batch).logits, atol=1e-6)


@pytest.mark.parametrize("method", ["prefix_tuning", "cartridge"])
@pytest.mark.parametrize("made", [albert, distilbert])
def test_a_model_that_takes_no_keys_and_values_is_refused_before_it_is_called(made: Any, method: str) -> None:
    with pytest.raises(AdaptError, match=r"puts keys and values before those of every layer, which \w+ takes none of"):
        apply_method(made(), method, num_virtual_tokens=3)


def test_a_model_of_sounds_takes_no_tokens() -> None:
    from transformers import Wav2Vec2Config, Wav2Vec2ForSequenceClassification

    sizes = {"conv_dim": [8], "conv_kernel": [3], "conv_stride": [2], "num_conv_pos_embedding_groups": 2}
    widths = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    settings = Wav2Vec2Config(num_conv_pos_embeddings=4, **sizes, **widths)  # type: ignore[arg-type]
    with pytest.raises(AdaptError, match="puts tokens before a language model's input, which Wav2Vec2"):
        apply_method(Wav2Vec2ForSequenceClassification(settings), "prompt_tuning")
