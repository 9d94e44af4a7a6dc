"""What PEFT takes and cannot work is refused with the reason, before a run where that can be seen."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn
from transformers import T5Config, T5ForSequenceClassification

import adapt_core
from adapt_core.config.validate import validate_options
from adapt_core.errors import AdaptError, ConfigError, UsageError
from adapt_core.kinds import Kind
from adapt_core.methods.peft_tuners.table import TUNERS
from adapt_core.plan import build as plan
from adapt_core.plugins.registry import Registry
from adapt_core.testing import MODELS
from adapt_core.testing.models import WIDTH


@pytest.mark.parametrize(
    ("method", "option", "least"),
    [
        ("vera", "r", 1),
        ("prefix_tuning", "num_virtual_tokens", 1),
        ("prompt_tuning", "num_virtual_tokens", 1),
        ("p_tuning", "encoder_hidden_size", 1),
        ("fourierft", "n_frequency", 1),
        ("vblora", "num_vectors", 1),
        ("supertuning", "r", 1),  # PEFT's default is none
        ("oft", "r", 0),  # PEFT's default, which leaves the number of blocks to their size
    ],
)
def test_a_size_has_a_least_value(method: str, option: str, least: int) -> None:
    registry = Registry.load()
    model = registry.options(registry.get(Kind.METHOD, method).spec)
    assert getattr(validate_options(model, {option: least}, method), option) == least
    for wrong in (least - 1, -3):
        with pytest.raises(ConfigError, match=f"{option}: must be at least {least}"):
            validate_options(model, {option: wrong}, method)


@pytest.mark.parametrize(
    ("method", "count", "size"), [("oft", "r", "oft_block_size"), ("boft", "boft_block_num", "boft_block_size")]
)
def test_the_number_of_blocks_stands_for_their_size(method: str, count: str, size: str) -> None:
    adapted: Any = adapt_core.apply_method(MODELS["encoder"].seeded(), method, **{count: 4})  # of 32 inputs
    config = adapted.peft_config["default"]
    assert (getattr(config, count), getattr(config, size)) == (4, 0)
    for both in ({count: 4, size: 8}, {count: 0, size: 0}):
        with pytest.raises(ConfigError, match=f"{count} and {size} say the same in two ways"):
            adapt_core.apply_method(MODELS["encoder"].seeded(), method, **both)


def test_ia3_on_a_model_that_peft_does_not_know_rescales_outputs() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    adapted = adapt_core.apply_method(model, "ia3")
    shapes = [tuple(each.shape) for each in adapted.parameters() if each.requires_grad]
    assert shapes == [(3, 1), (2, 1)]  # one number an output; an input's would be (1, 4)


@pytest.mark.parametrize("method", ["prompt_tuning", "prefix_tuning", "p_tuning", "cartridge"])
def test_soft_prompts_do_not_go_into_encoder_decoders_that_classify(method: str) -> None:
    settings = T5Config(vocab_size=60, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0)
    with pytest.raises(AdaptError, match=rf"{method} works on .* not on T5ForSequenceClassification"):
        adapt_core.apply_method(T5ForSequenceClassification(settings), method)


@pytest.mark.parametrize("method", ["prompt_tuning", "prefix_tuning", "p_tuning", "cartridge"])
def test_soft_prompts_need_the_head_where_there_is_one(method: str) -> None:
    with pytest.raises(AdaptError, match=rf"train_head .*is false, but PEFT trains the head .* of {method}"):
        adapt_core.apply_method(MODELS["encoder"].seeded(), method, train_head=False, num_virtual_tokens=4)
    tiny = MODELS["causal_lm"]  # its output layer is no head
    adapted = adapt_core.apply_method(tiny.seeded(), method, train_head=False, num_virtual_tokens=4)
    adapted(**tiny.batch()).loss.backward()
    assert all("prompt" in name for name, each in adapted.named_parameters() if each.requires_grad)


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ([99999], r"trainable_token_indices: 99999 is no token of LlamaForCausalLM, whose embedding has 60 rows"),
        ([3, 60], "trainable_token_indices: 60 is no token"),
        ([-1], "trainable_token_indices: -1 is no token"),
        ([], "trainable_token_indices names no token"),
        ({"embed_tokens": [60]}, "trainable_token_indices: 60 is no token"),
        ({"embed_token": [3]}, "trainable_token_indices: 'embed_token' is no module .* did you mean 'embed_tokens'"),
        ({"q_proj": [3]}, "is no embedding of tokens"),
    ],
)
def test_tokens_that_the_embedding_has_not_are_refused(method: str, asked: Any, reason: str) -> None:
    with pytest.raises(AdaptError, match=reason):
        adapt_core.apply_method(MODELS["causal_lm"].seeded(), method, trainable_token_indices=asked)


@pytest.mark.parametrize("asked", [[59], {"embed_tokens": [0, 59]}])
def test_tokens_that_the_embedding_has_are_trained(asked: Any) -> None:
    adapted = adapt_core.apply_method(MODELS["causal_lm"].seeded(), "lora", trainable_token_indices=asked)
    (rows,) = (each for name, each in adapted.named_parameters() if "trainable_tokens_delta" in name)
    assert rows.requires_grad
    assert len(rows) == (1 if isinstance(asked, list) else 2)


def test_trainable_tokens_are_rows_of_the_embedding_and_must_be_named() -> None:
    tiny = MODELS["encoder"]
    adapted = adapt_core.apply_method(tiny.seeded(), "trainable_tokens", token_indices=[3, 4])
    shapes = [tuple(each.shape) for name, each in adapted.named_parameters() if "trainable_tokens_delta" in name]
    assert shapes == [(2, WIDTH)]
    with pytest.raises(AdaptError, match="token_indices names no token"):
        adapt_core.apply_method(tiny.seeded(), "trainable_tokens")


def test_what_torch_refuses_is_said_to_be_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option whose values are not known beforehand: torch is asked for a tensor of a negative size."""
    import peft
    import torch

    def fails(*_: Any, **__: Any) -> None:
        torch.empty(-3)

    monkeypatch.setattr(peft, "get_peft_model", fails)
    with pytest.raises(AdaptError, match=r"lora cannot be put on LlamaForCausalLM with these options: .*negative dim"):
        adapt_core.apply_method(MODELS["causal_lm"].seeded(), "lora")

    def exhausted(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(peft, "get_peft_model", exhausted)
    with pytest.raises(torch.OutOfMemoryError):  # no fault of the options
        adapt_core.apply_method(MODELS["causal_lm"].seeded(), "lora")


@pytest.mark.parametrize("module", [3, None, "bert-base-uncased"])
def test_a_method_is_put_on_a_module(module: Any) -> None:
    with pytest.raises(UsageError, match=rf"takes a model, a torch\.nn\.Module, .* of type {type(module).__name__}"):
        adapt_core.apply_method(module, "lora")


@pytest.mark.parametrize("method", [name for name, tuner in TUNERS.items() if tuner.support == "expert"])
def test_no_configuration_runs_a_method_for_experts(method: str) -> None:
    problems = plan.check({"task": "text_classification", "model": "m", "dataset": "d", "method": method})
    (said,) = (each for each in problems if "for experts" in each.message)
    assert said.key == "method"
    assert f'adapt_core.apply_method(model, "{method}", ...)' in said.message


def test_python_puts_a_method_for_experts_on_a_model() -> None:
    import torch

    tiny = MODELS["causal_lm"]
    adapted = adapt_core.apply_method(tiny.seeded(), "poly", r=2, n_tasks=2).train()
    adapted(**tiny.batch(), task_ids=torch.zeros(8, dtype=torch.long)).loss.backward()
    assert any(each.grad is not None and each.grad.any() for each in adapted.parameters())


@pytest.mark.parametrize("method", ["prefix_tuning", "p_tuning_v2", "cartridge"])
def test_learned_keys_and_values_do_not_go_with_gradient_checkpointing(method: str, toy_config: Any) -> None:
    """transformers would leave them out: the first step fails, or the prefix is never trained."""
    config = toy_config(method=method)
    problems = plan.check(config | {"GRADIENT_CHECKPOINTING": True})
    (said,) = (each for each in problems if "does not train with gradient checkpointing" in each.message)
    assert said.key == "GRADIENT_CHECKPOINTING"
    assert not [each for each in plan.check(config) if "checkpointing" in each.message]
    module: Any = MODELS["encoder"].seeded()
    module.gradient_checkpointing_enable()
    with pytest.raises(AdaptError, match=r"does not train with gradient checkpointing.*\n.*_disable\(\)"):
        adapt_core.apply_method(module, method, num_virtual_tokens=2)
