"""What a configuration says of some layers must be about at least one of them: PEFT ignores the rest."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from adapt_core import AdaptError, ConfigError, apply_method
from adapt_core.testing import MODELS

QUERY = {"target_modules": ["query", "key"]}


@pytest.mark.parametrize("method", ["lora", "dora", "loha", "lokr"])
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rank_pattern": {"quary": 4}}, "rank_pattern: 'quary' matches no targeted layer; did you mean 'query'"),
        ({"rank_pattern": {"value": 4}}, "rank_pattern: 'value' matches no targeted layer"),
        ({"rank_pattern": {".*": 2, "query": 4}}, "rank_pattern: 'query' matches only layers that an entry before it"),
        ({"alpha_pattern": {"self.querry": 4}}, "alpha_pattern: 'self.querry' .*; did you mean 'self.query'"),
        ({"alpha_pattern": {"(": 4}}, r"alpha_pattern: '\(' is no regular expression"),
        ({"exclude_modules": ["valeu"]}, "exclude_modules: 'valeu' matches no layer; did you mean 'value'"),
        ({"exclude_modules": "value"}, "exclude_modules: 'value' is read as a regular expression over whole names"),
        ({"exclude_modules": ["attention"]}, "exclude_modules: 'attention' holds layers, which are excluded by their"),
        ({"layers_to_transform": [0, 7]}, "layers_to_transform: no targeted layer is in a block 7\nBlocks .*: 0, 1"),
        ({"layers_to_transform": -1}, "layers_to_transform: no targeted layer is in a block -1"),
        (
            {"layers_to_transform": 0, "layers_pattern": ["layers"]},
            "layers_pattern: 'layers' is no list of blocks .*; did you mean 'layer'",
        ),
        ({"layers_to_transform": 0, "layers_pattern": "("}, r"layers_pattern: '\(' is no regular expression"),
    ],
)
def test_what_matches_nothing_is_an_error_with_the_nearest(method: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(AdaptError, match=rf"(?s)method\.{says}"):
        apply_method(MODELS["encoder"].seeded(), method, **QUERY, **options)


@pytest.mark.parametrize("method", ["randlora", "gralora"])  # PEFT's LoRA says so itself
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"target_modules": ["query"], "layers_pattern": "layer"},
            "layers_pattern says where the blocks .* not given",
        ),
        (
            {"target_modules": ".*query", "layers_to_transform": [0]},
            "layers_to_transform counts for lists of names alone, and these target modules are a regular expression",
        ),
    ],
)
def test_blocks_are_not_chosen_where_peft_heeds_no_choice(method: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(AdaptError, match=rf"method\.{says}"):
        apply_method(MODELS["encoder"].seeded(), method, **options)


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"rank_pattern": {"0.*query": 4, "key": 2}}, {0: {"query", "key"}, 1: {"query", "key"}}),
        ({"exclude_modules": ["layer.1.attention.self.key"]}, {0: {"query", "key"}, 1: {"query"}}),
        ({"exclude_modules": ["dense"]}, {0: {"query", "key"}, 1: {"query", "key"}}),
        ({"exclude_modules": r".*1\..*key"}, {0: {"query", "key"}, 1: {"query"}}),
        ({"layers_to_transform": [1], "layers_pattern": "layer"}, {1: {"query", "key"}}),
    ],
)
def test_what_matches_something_has_its_effect(options: dict[str, Any], left: dict[int, set[str]]) -> None:
    adapted = apply_method(MODELS["encoder"].seeded(), "lora", **QUERY, **options)
    found: dict[int, set[str]] = {}
    for name in (name for name, each in adapted.named_parameters() if each.requires_grad and "lora_A" in name):
        block, layer = name.partition(".layer.")[2].split(".")[0], name.partition(".lora_A")[0].rpartition(".")[2]
        found.setdefault(int(block), set()).add(layer)
    assert found == left


@pytest.mark.parametrize("method", ["lora", "adalora", "vera", "ia3"])
def test_transposed_weights_must_be_there_where_they_are_claimed(method: str) -> None:
    with pytest.raises(AdaptError, match=r"fan_in_fan_out is true, but .* the first is a Linear\nRemove the key"):
        apply_method(MODELS["causal_lm"].seeded(), method, phases=True, fan_in_fan_out=True)
    adapted: Any = apply_method(MODELS["tied_lm"].seeded(), method, phases=True, fan_in_fan_out=True)[0]
    assert adapted.peft_config["default"].fan_in_fan_out


class Experts(nn.Module):
    """Two experts in one parameter, behind a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.experts = nn.Module()
        self.experts.weights = nn.Parameter(torch.randn(2, 4, 4))


def test_keys_of_patterns_may_mean_parameters_too() -> None:
    adapted: Any = apply_method(
        Experts(), "lora", target_parameters=["experts.weights"], rank_pattern={"experts.weights": 2}, dropout=0.0
    )
    shapes = {tuple(each.shape) for name, each in adapted.named_parameters() if "lora_A" in name}
    assert shapes == {(2 * 2, 4)}  # rank 2 for each of two experts


def test_parameters_alone_bring_in_no_layers() -> None:
    adapted = apply_method(Experts(), "lora", target_parameters=["experts.weights"], dropout=0.0)
    trained = {name for name, each in adapted.named_parameters() if each.requires_grad}
    assert trained and all("experts" in name for name in trained)


def test_a_parameter_that_is_not_there_is_an_error_with_the_nearest() -> None:
    for options in ({}, {"target_modules": ["first"]}):
        says = r"target_parameters: 'experts.weight' matches no parameter; did you mean 'experts.weights'"
        with pytest.raises(AdaptError, match=says):
            apply_method(Experts(), "lora", target_parameters=["experts.weight"], dropout=0.0, **options)


def test_ssf_is_told_once_where_it_goes() -> None:
    with pytest.raises(ConfigError, match="operations and target_modules both say which layers"):
        apply_method(MODELS["encoder"].seeded(), "ssf", operations=["linear"], target_modules=["query"])
