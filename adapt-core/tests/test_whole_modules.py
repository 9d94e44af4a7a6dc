"""Modules that are trained whole beside an adapter: by which names, and what PEFT would take for them too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from adapt_core import AdaptError, apply_method
from adapt_core.architecture import hints_for
from adapt_core.methods.lora.method import Lora
from adapt_core.methods.lora.options import LoraOptions
from adapt_core.testing import MODELS


def whole(module: nn.Module) -> set[str]:
    """The names of the modules that are trained whole."""
    return {
        name.removeprefix("base_model.model.").split(".modules_to_save.")[0]
        for name, each in module.named_parameters()
        if each.requires_grad and ".modules_to_save." in name
    }


def test_a_name_means_a_module_and_not_the_end_of_a_word() -> None:
    """PEFT itself would train Llama's input_layernorm and post_attention_layernorm for ``norm``."""
    assert whole(apply_method(MODELS["causal_lm"].seeded(), "lora", modules_to_save=["norm"])) == {"model.norm"}
    layers = {f"model.layers.{index}.input_layernorm" for index in range(2)}
    assert whole(apply_method(MODELS["causal_lm"].seeded(), "lora", modules_to_save=["input_layernorm"])) == layers


def test_what_peft_would_take_for_it_too_is_named() -> None:
    module = nn.ModuleDict({"norm": nn.LayerNorm(4), "subnorm": nn.LayerNorm(4), "fc": nn.Linear(4, 4)})
    with pytest.raises(AdaptError, match="beside norm PEFT would train subnorm of ModuleDict, whose name ends alike"):
        apply_method(module, "lora", target_modules=["fc"], modules_to_save=["norm"])
    both = apply_method(module, "lora", target_modules=["fc"], modules_to_save=["norm", "subnorm"])
    assert whole(both) == {"norm", "subnorm"}


@pytest.mark.parametrize("asked", [["decoder.embed_tokens"], ["embed_tokens"], ["shared"]])
def test_one_end_of_tied_embeddings_trained_whole_is_merged_and_loads(asked: list[str], tmp_path: Path) -> None:
    from transformers import BartConfig, BartForConditionalGeneration

    sizes = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    torch.manual_seed(0)
    base = BartForConditionalGeneration(BartConfig(vocab_size=20, **sizes, **heads, **tokens))  # type: ignore[arg-type]
    method = Lora(LoraOptions(target_modules=["q_proj"], modules_to_save=asked))
    adapted: Any = method.apply(base, hints_for(base)).eval()
    with torch.no_grad():
        for each in adapted.parameters():
            if each.requires_grad:
                each += torch.randn_like(each)
        inputs = {"input_ids": torch.tensor([[5, 6, 7, 2]]), "decoder_input_ids": torch.tensor([[2, 8, 9]])}
        expected = adapted(**inputs).logits
        merged: Any = method.merge(adapted)
        assert torch.allclose(merged(**inputs).logits, expected, atol=1e-5)
        merged.save_pretrained(tmp_path)
        loaded = BartForConditionalGeneration.from_pretrained(tmp_path).eval()
        assert torch.allclose(loaded(**inputs).logits, expected, atol=1e-5)
