"""Experts that are one tensor a block, which no target module means, are told by name with the way out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from adapt_core import apply_method
from adapt_core.methods.lora.options import LoraOptions
from adapt_core.methods.ssf.options import SsfOptions
from adapt_core.models.experts import notices_of_experts
from adapt_core.testing import MODELS

EXPERTS = 2 * (4 * 64 * 128 + 4 * 64 * 64)
"""Of two blocks: for each of four experts both ways in (64 wide, to 2 x 64), and the way back."""


def mixtral() -> Any:
    from transformers import MixtralConfig, MixtralForCausalLM

    sizes = {"vocab_size": 30, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2}
    torch.manual_seed(0)
    settings: Any = MixtralConfig
    return MixtralForCausalLM(settings(**sizes, **heads))


def of_lora(module: Any, *, quantized: bool = False, **options: Any) -> tuple[str, ...]:
    return notices_of_experts(apply_method(module, "lora", **options), LoraOptions(**options), quantized=quantized)


@pytest.mark.parametrize("targets", [None, "all-linear", ["all-linear"]])
def test_all_linear_layers_do_not_reach_the_experts(targets: Any) -> None:
    (text,) = of_lora(mixtral(), target_modules=targets)
    assert "The weights of mlp.experts.gate_up_proj, mlp.experts.down_proj are in tensors of three dimensions" in text
    assert f"{EXPERTS:,} weights get no update" in text
    assert "method.target_parameters: [mlp.experts.gate_up_proj, mlp.experts.down_proj]" in text


def test_the_way_out_is_one() -> None:
    names = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
    options: dict[str, Any] = {"target_modules": "all-linear", "target_parameters": names, "dropout": 0.0}
    module = apply_method(mixtral(), "lora", **options)
    assert notices_of_experts(module, LoraOptions(**options), quantized=False) == ()
    trained = [name for name, each in module.named_parameters() if each.requires_grad]
    assert sum("experts" in name for name in trained) == 2 * 2 * 2  # blocks, parameters, and A and B of each
    assert sum("q_proj" in name for name in trained) == 2 * 2


@pytest.mark.parametrize("targets", ["attention", ["q_proj"], r".*q_proj"])
def test_who_names_other_layers_knows_what_is_left_out(targets: Any) -> None:
    assert of_lora(mixtral(), target_modules=targets) == ()


def test_a_method_without_the_option_is_told_which_has_it() -> None:
    (text,) = notices_of_experts(apply_method(mixtral(), "ssf"), SsfOptions(), quantized=False)
    assert "To adapt them too: lora with method.target_parameters" in text


def test_tensors_of_an_adapter_are_no_experts() -> None:
    """GraLoRA's are of three dimensions."""
    tiny = MODELS["causal_lm"].seeded()
    module = apply_method(tiny, "gralora")
    assert any(each.dim() == 3 for each in module.parameters())
    assert notices_of_experts(module, LoraOptions(), quantized=True) == ()


def test_experts_that_are_trained_whole_are_not_told() -> None:
    options: dict[str, Any] = {"modules_to_save": ["mlp.experts"]}
    assert of_lora(mixtral(), **options) == ()


def test_experts_that_are_trained_are_not_told() -> None:
    assert notices_of_experts(apply_method(mixtral(), "full"), LoraOptions(), quantized=False) == ()


def test_a_quantizer_leaves_them_as_they_are() -> None:
    (text,) = of_lora(mixtral(), quantized=True, target_modules="attention")
    assert f"they are not quantized and take {4 * EXPERTS / 1000:.0f} kB" in text
    assert len(of_lora(mixtral(), quantized=True)) == 2


@pytest.mark.parametrize("name", MODELS)
def test_other_models_have_none(name: str) -> None:
    assert notices_of_experts(MODELS[name].seeded(), LoraOptions(), quantized=True) == ()


def test_convolutions_and_what_weights_are_made_of_are_none() -> None:
    layers = nn.Sequential(nn.Conv1d(4, 4, 3), nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 4, 3)))
    layers.register_parameter("places", nn.Parameter(torch.zeros(1, 9, 4)))
    assert notices_of_experts(layers.requires_grad_(False), LoraOptions(), quantized=True) == ()
