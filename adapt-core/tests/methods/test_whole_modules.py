"""Modules that are trained whole beside an adapter: by which names, and what PEFT would take for them too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from adapt_core import AdaptError, apply_method
from adapt_core.bundles import Hints
from adapt_core.methods.lora.method import Lora
from adapt_core.methods.lora.options import LoraOptions
from adapt_core.models.architecture import hints_for
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
    with pytest.raises(
        AdaptError, match=r"beside norm of ModuleDict, .* PEFT would train subnorm, .* ends alike"
    ) as told:
        apply_method(module, "lora", target_modules=["fc"], modules_to_save=["norm"])
    assert "Name subnorm too" in told.value.hint
    both = apply_method(module, "lora", target_modules=["fc"], modules_to_save=["norm", "subnorm"])
    assert whole(both) == {"norm", "subnorm"}


def test_what_holds_nothing_is_not_trained_whatever_its_name() -> None:
    """As timm's models have it: fc_norm is an Identity where norm is used."""
    module = nn.ModuleDict({"norm": nn.LayerNorm(4), "fc_norm": nn.Identity(), "fc": nn.Linear(4, 4)})
    assert whole(apply_method(module, "lora", target_modules=["fc"], modules_to_save=["norm"])) == {"norm"}
    layers = [each for _ in range(4) for each in (nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.ReLU())]
    adapted = apply_method(nn.Sequential(*layers), "lora", target_modules=["0"], train_batch_norm=True)
    assert whole(adapted) == {"1", "4", "7", "10"}


def test_a_head_with_a_part_of_its_name_is_refused() -> None:
    """Such as DPT's: PEFT would wrap one within the other."""
    module = nn.ModuleDict({"fc": nn.Linear(4, 4), "head": nn.ModuleDict({"head": nn.Linear(4, 4)})})
    hints = Hints(head=("head",))
    with pytest.raises(AdaptError, match=r"would take head.head in it for head .*\n.*train_head: false"):
        Lora(LoraOptions(target_modules=["fc"])).apply(module, hints)
    frozen = Lora(LoraOptions(target_modules=["fc"])).apply(module, replace(hints, train_head=False))
    assert whole(frozen) == set()


def test_rows_of_an_embedding_that_is_trained_whole_are_refused() -> None:
    for rows, name in ({"word_embeddings": [1]}, "word_embeddings"), ([1], "embeddings.word_embeddings"):
        with pytest.raises(AdaptError, match=r"indices: these rows are of bert\.embeddings\.word_embeddings, which"):
            apply_method(MODELS["encoder"].seeded(), "lora", modules_to_save=[name], trainable_token_indices=rows)


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
