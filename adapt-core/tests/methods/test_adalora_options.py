"""AdaLoRA's options: all of PEFT's that its AdaLoRA heeds, each with its effect, in training and when loaded again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.adalora.layer import SVDLinear
from safetensors.torch import save_file
from torch import nn

from adapt_core import AdaptError, apply_method
from adapt_core.config.validate import validate_options
from adapt_core.methods.adalora.method import PEFT_NAMES, STATE, Adalora
from adapt_core.methods.adalora.options import AdaloraOptions
from adapt_core.models.architecture import hints_for
from adapt_core.testing import MODELS

BLOCK, SELF = "bert.encoder.layer", "attention.self"
BOTH = [f"{BLOCK}.{block}.{SELF}.{layer}" for block in (0, 1) for layer in ("key", "query")]


def test_every_option_of_pefts_adalora_is_offered_or_left_out_for_a_reason() -> None:
    from peft import AdaLoraConfig

    set_by_adapt = {"task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"}
    set_by_adapt |= {"inference_mode", "total_step", "rank_pattern"}
    not_read_by_its_layers = {"r", "use_rslora", "alpha_pattern", "lora_bias", "eva_config", "corda_config"}
    not_read_by_its_layers |= {"lora_ga_config", "use_qalora", "qalora_group_size", "use_bdlora", "velora_config"}
    not_read_by_its_layers |= {"monteclora_config", "arrow_config", "kasa_config", "alora_invocation_tokens"}
    refused_by_it = {"use_dora", "loftq_config", "target_parameters"}
    other_frameworks = {"megatron_config", "megatron_core"}
    change_the_base = {"layer_replication", "ensure_weight_tying", "runtime_config"}
    left_out = set_by_adapt | not_read_by_its_layers | refused_by_it | other_frameworks | change_the_base
    theirs = {field.name for field in dataclasses.fields(AdaLoraConfig)}
    ours = {PEFT_NAMES.get(name, name) for name in AdaloraOptions.model_fields}
    assert ours <= theirs
    assert theirs - ours == left_out & theirs


def updated(module: nn.Module) -> list[str]:
    """The layers that have an update."""
    names = (name.removeprefix("base_model.model.") for name, _ in module.named_parameters())
    return sorted(name.partition(".lora_E")[0] for name in names if ".lora_E" in name)


def trained(module: nn.Module) -> set[str]:
    """What is trained beside updates and the head, by the end of its name."""
    names = {name for name, each in module.named_parameters() if each.requires_grad}
    return {name.rpartition(".")[2] for name in names if ".lora_" not in name and "classifier" not in name}


@pytest.mark.parametrize(
    ("options", "layers", "beside"),
    [
        ({}, BOTH, set()),
        ({"exclude_modules": ["key"]}, [name for name in BOTH if name.endswith("query")], set()),
        ({"layers_to_transform": [1]}, BOTH[2:], set()),
        ({"layers_to_transform": 0, "layers_pattern": "layer"}, BOTH[:2], set()),
        ({"bias": "all"}, BOTH, {"bias"}),
        ({"bias": "lora_only"}, BOTH, {"bias"}),
        ({"modules_to_save": ["pooler"]}, BOTH, {"weight", "bias"}),
        ({"trainable_token_indices": [3, 4]}, BOTH, {"default"}),
        ({"init_lora_weights": False}, BOTH, set()),
    ],
)
def test_an_option_has_its_effect_and_is_saved_and_merged(
    options: dict[str, Any], layers: list[str], beside: set[str], tmp_path: Path
) -> None:
    tiny = MODELS["encoder"]
    given = {"target_modules": ["query", "key"], "init_r": 4, "target_r": 2, **options}
    method = Adalora(validate_options(AdaloraOptions, given, "test"))
    base = tiny.seeded()
    adapted = method.apply(base, hints_for(base, ["classifier.weight"])).eval()
    assert updated(adapted) == layers and trained(adapted) == beside
    torch.manual_seed(0)
    for each in adapted.parameters():
        if each.requires_grad:
            each.data += 0.3 * torch.randn_like(each)
    with torch.no_grad():
        expected = adapted(**tiny.batch()).logits
        method.save(adapted, tmp_path)
        again = method.load(tiny.seeded(), tmp_path, hints_for(base)).eval()
        assert torch.allclose(again(**tiny.batch()).logits, expected, atol=1e-5)
        merged: Any = method.merge(again)
        assert torch.allclose(merged(**tiny.batch()).logits, expected, atol=1e-5)
        assert not merged._forward_hooks  # nothing of Adapt is left


def test_without_its_start_an_update_changes_outputs_at_once() -> None:
    tiny = MODELS["encoder"]
    with torch.no_grad():
        before = tiny.seeded()(**tiny.batch()).logits
        for start in (True, False):
            adapted = apply_method(tiny.seeded(), "adalora", phases=True, init_lora_weights=start, alpha=64)[0].eval()
            assert torch.allclose(adapted(**tiny.batch()).logits, before, atol=1e-6) == start


@pytest.mark.parametrize(
    ("name", "train_head"), [("encoder", None), ("encoder", False), ("causal_lm", None), ("vision_transformer", None)]
)
def test_factors_that_are_not_orthogonal_are_penalised_in_training_alone(name: str, train_head: bool | None) -> None:
    """As PEFT does in its own forward pass, which it takes only with a task that it knows and a head that trains."""
    tiny = MODELS[name]
    adapted: Any = apply_method(
        tiny.seeded(),
        "adalora",
        phases=True,
        train_head=train_head,
        orth_reg_weight=3.0,
        dropout=0.0,
        init_r=4,
        target_r=2,
    )[0]
    batch = tiny.batch()
    plain = adapted.eval()(**batch).loss.detach()
    for layer in adapted.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    factors = [(each, ".lora_A." in name) for name, each in adapted.named_parameters() if ".lora_" in name]
    grams = [each @ each.T if rows else each.T @ each for each, rows in factors if min(each.shape) > 1]
    expected = torch.stack([(gram - torch.eye(4)).square().sum().sqrt() for gram in grams]).mean()
    assert len(grams) == 2 * sum(isinstance(layer, SVDLinear) for layer in adapted.modules())
    penalised = adapted.train()(**batch).loss
    assert torch.allclose(penalised - plain, 3.0 * expected, rtol=1e-4)
    penalised.backward()
    assert all(each.grad is not None and each.grad.abs().max() > 0 for each, rows in factors if min(each.shape) > 1)


def test_a_layer_without_a_gradient_in_a_step_counts_as_none_that_matters() -> None:
    """Such as one that layer drop has passed over."""
    tiny = MODELS["encoder"]
    options = validate_options(AdaloraOptions, {"target_modules": ["query"], "tinit": 1, "tfinal": 1}, "test")
    method = Adalora(options)
    adapted: Any = method.apply(tiny.seeded(), hints_for(tiny.build()))
    method.before_training(adapted, 10)
    adapted(**tiny.batch()).loss.backward()
    factors = {name: each for name, each in adapted.named_parameters() if ".layer.0." in name and ".lora_" in name}
    for each in factors.values():
        each.grad = None
    method.after_step(adapted, 2)
    importance = adapted.base_model.rankallocator.ipt
    assert {float(each.abs().sum()) for name, each in importance.items() if ".layer.0." in name} == {0.0}
    assert any(float(each.abs().sum()) > 0 for each in importance.values())


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    tiny = MODELS["encoder"]
    method = Adalora(validate_options(AdaloraOptions, {"target_modules": ["query"]}, "test"))
    adapted = method.apply(tiny.seeded(), hints_for(tiny.build()))
    save_file({"parameter.of.old": torch.zeros(1)}, tmp_path / STATE)
    with pytest.raises(AdaptError, match=r"of another version of Adapt: it holds parameter\.of\.old"):
        method.load_state(adapted, tmp_path)
