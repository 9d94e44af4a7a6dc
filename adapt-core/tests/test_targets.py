"""Which layers a name, a pattern or a preset means, on models of several architectures."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

from adapt_core import AdaptError, apply_method
from adapt_core.architecture import hints_for
from adapt_core.methods.targets import PRESETS, named_exactly, preset, resolve
from adapt_core.testing import MODELS


def found(model: str, name: str) -> set[str]:
    """The last parts of the names of a preset's layers."""
    module = MODELS[model].build()
    return {each.rsplit(".", 1)[-1] for each in preset(module, hints_for(module), name)}


@pytest.mark.parametrize(
    ("model", "attention", "mlp"),
    [
        ("causal_lm", {"q_proj", "k_proj", "v_proj", "o_proj"}, {"gate_proj", "up_proj", "down_proj"}),
        ("tied_lm", {"c_attn", "c_proj"}, {"c_fc", "c_proj"}),
        ("encoder", {"query", "key", "value", "dense"}, {"dense"}),
        ("encoder_decoder", {"q", "k", "v", "o"}, {"wi", "wo"}),
    ],
)
def test_presets_go_by_what_a_layer_is_part_of(model: str, attention: set[str], mlp: set[str]) -> None:
    assert found(model, "attention") == attention
    assert found(model, "mlp") == mlp


@pytest.mark.parametrize("model", ["causal_lm", "tied_lm", "encoder_decoder"])
def test_no_preset_reaches_the_output_layer_of_a_language_model(model: str) -> None:
    module = MODELS[model].build()
    assert not any("lm_head" in name for each in PRESETS for name in preset(module, hints_for(module), each))


def test_a_preset_leaves_the_head_alone_and_finds_convolutions() -> None:
    module = MODELS["convolutional"].build()
    names = preset(module, hints_for(module), "all")
    kinds = {type(module.get_submodule(name)) for name in names}
    assert kinds == {nn.Conv2d}
    assert len(names) == sum(isinstance(layer, nn.Conv2d) for layer in module.modules())


def test_names_that_would_match_more_are_told_apart() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))
    expression = named_exactly(module, ["0"])
    assert isinstance(expression, str)
    assert [name for name, _ in module.named_modules() if re.fullmatch(expression, name)] == ["0"]
    assert named_exactly(module, ["0", "1.0"]) == ["0"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["query", "valeu"], "'valeu' matches no layer of BertForSequenceClassification; did you mean 'value'"),
        ("encodr.*", "'encodr.*' matches no layer"),
        ("(", "'\\(' is no regular expression"),
        ("conv", "has no layer of the preset 'conv'"),
    ],
)
def test_what_matches_nothing_is_an_error_though_something_else_matches(asked: Any, says: str) -> None:
    module = MODELS["encoder"].build()
    with pytest.raises(AdaptError, match=says):
        resolve(module, hints_for(module), asked)


def test_transposed_layers_are_told_to_peft(recwarn: pytest.WarningsRecorder) -> None:
    adapted: Any = apply_method(MODELS["tied_lm"].seeded(), "lora")
    assert adapted.peft_config["default"].fan_in_fan_out is True
    assert not [each for each in recwarn if "fan_in_fan_out" in str(each.message)]
    straight: Any = apply_method(MODELS["causal_lm"].seeded(), "lora")
    assert straight.peft_config["default"].fan_in_fan_out is False


def test_frozen_batch_normalisation_keeps_its_statistics() -> None:
    tiny = MODELS["convolutional"]
    for method in ("lora", "ssf", "last_layer"):
        options = {"target_modules": "conv"} if method == "lora" else {}
        module = apply_method(tiny.seeded(), method, **options)
        before = {name: each.clone() for name, each in module.named_buffers() if "running" in name}
        module.train()
        module(**tiny.batch())
        after = dict(module.named_buffers())
        assert before and all(torch.equal(after[name], each) for name, each in before.items()), method
    full = apply_method(tiny.seeded(), "full").train()
    before = {name: each.clone() for name, each in full.named_buffers() if "running_mean" in name}
    full(**tiny.batch())
    assert not any(torch.equal(dict(full.named_buffers())[name], each) for name, each in before.items())
