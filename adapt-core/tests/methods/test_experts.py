"""Mixtures of experts, whose weights transformers 5 keeps as one tensor, and of which PEFT knows the older layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from adapt_core import AdaptError, ConfigError, apply_method

FEED_FORWARD = [f"layers.0.mlp.{part}_proj" for part in ("gate", "up", "down")]


def qwen() -> Any:
    """Qwen3-MoE whose first block has an ordinary feed-forward."""
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    sizes = {"vocab_size": 30, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    experts = {"moe_intermediate_size": 8, "num_experts": 4, "num_experts_per_tok": 2, "mlp_only_layers": [0]}
    torch.manual_seed(0)
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**sizes, **heads, **experts))  # type: ignore[arg-type]


def adapted(module: nn.Module) -> set[str]:
    names = (name for name, each in module.named_parameters() if each.requires_grad)
    return {name.removeprefix("base_model.model.model.").split(".lora_")[0] for name in names}


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize(
    ("targets", "says"),
    [
        (FEED_FORWARD, "adapts down_proj, gate_up_proj of the experts"),
        ("mlp", "adapts down_proj, gate_up_proj of the experts"),
        (None, "adapts down_proj, gate_up_proj of the experts"),
        (FEED_FORWARD[:1], "says: Cannot convert PEFT target.* gate_proj without also targeting up_proj"),
        (r".*layers\.0\.self_attn\.q_proj", "adapts the layers of these names in all blocks"),
    ],
)
def test_names_that_peft_takes_for_others_are_refused(method: str, targets: Any, says: str) -> None:
    with pytest.raises(AdaptError, match=f"takes names of layers of Qwen3MoeForCausalLM .* and {says}") as refused:
        apply_method(qwen(), method, target_modules=targets)
    assert "method.target_parameters" in refused.value.hint


def test_other_names_and_other_methods_mean_what_they_say() -> None:
    parts = {f"layers.{index}.self_attn.{part}_proj" for index in range(2) for part in "qkvo"}
    assert adapted(apply_method(qwen(), "lora", target_modules="attention")) == parts
    one = apply_method(qwen(), "lora", target_modules=["layers.0.self_attn.q_proj"])
    assert adapted(one) == {"layers.0.self_attn.q_proj"}
    names = {name.split(".vera_")[0] for name in adapted(apply_method(qwen(), "vera", target_modules=FEED_FORWARD[:2]))}
    assert set(FEED_FORWARD[:2]) <= names


def test_experts_are_adapted_by_their_parameters() -> None:
    ids = torch.tensor([[3, 4, 5]])
    module = apply_method(qwen(), "lora", target_parameters=["mlp.experts.gate_up_proj"], dropout=0.0)
    assert adapted(module) == {"layers.1.mlp.experts"}
    with torch.no_grad():
        for each in module.parameters():
            if each.requires_grad:
                each += torch.randn_like(each)
        expected = module.eval()(ids).logits
        assert not torch.allclose(expected, qwen().eval()(ids).logits, atol=1e-3)
        assert torch.allclose(module.merge_and_unload()(ids).logits, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("lora", {}, "target_parameters get an update of their values.* set dropout to 0"),
        ("lora", {"dropout": 0.0, "lora_bias": True}, "leave lora_bias out"),
        ("lora", {"dropout": 0.0, "init_lora_weights": "pissa"}, "pissa starts the updates of layers"),
        ("lora", {"dropout": 0.0, "init_lora_weights": "orthogonal"}, "orthogonal starts the updates of layers"),
        ("dora", {"dropout": 0.0}, "target_parameters: unknown option"),
    ],
)
def test_what_parameters_cannot_have_is_said_before_there_is_a_model(method: str, options: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        apply_method(nn.Linear(2, 2), method, target_parameters=["weight"], **options)
