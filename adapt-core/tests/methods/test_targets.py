"""Which layers a name, a pattern or a preset means, on models of several architectures."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

from adapt_core import AdaptError, apply_method
from adapt_core.methods.shared.targets import PRESETS, named_exactly, preset, resolve
from adapt_core.models.architecture import hints_for
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


def test_what_has_no_parameters_of_its_own_is_no_normalisation() -> None:
    convolution = torch.nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 2, 1))
    module = nn.Sequential(nn.LayerNorm(2), convolution, nn.LayerNorm(2, elementwise_affine=False))
    assert preset(module, hints_for(module), "norm") == ["0"]


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
        (
            "encodr.*",
            "the text 'encodr.*' is read as a regular expression over whole names, and matches no layer of Bert",
        ),
        ("query", r"the text 'query' is read as a .*; did you mean the list \[query\]"),
        ("query, valeu", r"did you mean the list \[query, value\]"),
        ("(", "'\\(' is no regular expression"),
        ("conv", "has no layer of the preset 'conv'"),
    ],
)
def test_what_matches_nothing_is_an_error_though_something_else_matches(asked: Any, says: str) -> None:
    module = MODELS["encoder"].build()
    with pytest.raises(AdaptError, match=says):
        resolve(module, hints_for(module), asked)


def test_a_model_that_is_adapted_is_not_adapted_again() -> None:
    adapted = apply_method(MODELS["encoder"].seeded(), "lora")
    says = "BertForSequenceClassification is adapted already: .*bert.encoder.* is a Linear of PEFT"
    for method in ("lora", "ssf", "vera", "prompt_tuning"):
        with pytest.raises(AdaptError, match=says):
            apply_method(adapted.get_base_model(), method)  # type: ignore[operator]
    with pytest.raises(AdaptError, match="is adapted already"):
        apply_method(adapted, "adalora", phases=True)


def test_transposed_layers_are_told_to_peft(recwarn: pytest.WarningsRecorder) -> None:
    adapted: Any = apply_method(MODELS["tied_lm"].seeded(), "lora")
    assert adapted.peft_config["default"].fan_in_fan_out is True
    assert not [each for each in recwarn if "fan_in_fan_out" in str(each.message)]
    straight: Any = apply_method(MODELS["causal_lm"].seeded(), "lora")
    assert straight.peft_config["default"].fan_in_fan_out is False


class Doubled(nn.Linear):
    """A linear layer of somebody's own."""


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("lora", {}, "wide is a LayerNorm, which lora does not adapt; it adapts Linear, Conv1D, Conv1d, Conv2d"),
        ("ssf", {}, "group is a GroupNorm, which ssf does not adapt"),
        ("bitfit", {}, "group is a GroupNorm, and 1 more, which bitfit does not adapt"),
        ("oft", {}, "image is a Conv2d, and 2 more, which oft does not adapt; it adapts Linear, Embedding"),
        ("lora", {"init_lora_weights": "pissa"}, "image is a Conv2d, .* lora with init_lora_weights=pissa does not"),
    ],
)
def test_a_layer_of_a_type_that_a_method_does_not_declare_is_refused(
    method: str, options: dict[str, Any], says: str
) -> None:
    layers = {"image": nn.Conv2d(4, 4, 1), "wide": nn.LayerNorm(4), "group": nn.GroupNorm(2, 4), "own": Doubled(4, 4)}
    model = nn.ModuleDict({**layers, "words": nn.Embedding(5, 4)})
    wanted = {
        "lora": ["own", "image", "words", "wide"],
        "ssf": ["own", "image", "words", "wide", "group"],
        "bitfit": ["own", "group", "words"],
        "oft": ["own", "image", "words", "wide", "group"],
    }[method]
    with pytest.raises(AdaptError, match=f"method.target_modules: {says}"):
        apply_method(model, method, target_modules=wanted, **options)


@pytest.mark.parametrize("method", ["lora", "dora", "adalora", "hira"])
@pytest.mark.parametrize("groups", [2, 4])
def test_a_convolution_in_groups_that_a_method_cannot_merge_is_refused(method: str, groups: int) -> None:
    model = nn.ModuleDict({"whole": nn.Conv2d(4, 4, 1), "parted": nn.Conv2d(4, 4, 3, groups=groups)})
    says = rf"parted is a Conv2d \(grouped\), which {method} does not adapt; it adapts Linear"
    with pytest.raises(AdaptError, match=says):
        apply_method(model, method, phases=True, target_modules=["whole", "parted"])


@pytest.mark.parametrize("method", ["lora", "adalora", "hira", "ssf"])
def test_a_preset_leaves_out_what_the_method_does_not_adapt(method: str) -> None:
    model = nn.ModuleDict({"whole": nn.Conv2d(4, 4, 1), "parted": nn.Conv2d(4, 4, 3, groups=2)})
    adapted, _ = apply_method(model, method, phases=True, target_modules="conv")
    found = {name.split(".")[2] for name, each in adapted.named_parameters() if each.requires_grad}
    assert found == ({"whole", "parted"} if method == "ssf" else {"whole"})


class Shared(nn.Module):
    """A convolution that stands at two places, as in the heads of RTMDet, and one that stands at one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.own = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.again = self.first

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.again(self.own(self.first(pixels))))


@pytest.mark.parametrize("method", ["lora", "dora", "ssf", "loha"])
def test_a_convolution_at_several_places_gets_no_adapter(method: str) -> None:
    """It would work at the first place alone, and merged at both."""
    options = {} if method == "ssf" else {"target_modules": "conv"}
    adapted = apply_method(Shared(), method, **options)
    assert {name.split(".")[2] for name, each in adapted.named_parameters() if each.requires_grad} == {"own"}
    with pytest.raises(AdaptError, match="stands at 2 places, also as again"):
        apply_method(Shared(), method, target_modules=["first"])


def test_a_preset_of_nothing_that_the_method_adapts_is_refused() -> None:
    model = nn.ModuleDict({"parted": nn.Conv2d(4, 4, 3, groups=2)})
    with pytest.raises(AdaptError, match=r"no layer of the preset 'conv' that the method adapts, which are Linear,"):
        apply_method(model, "lora", target_modules="conv")


@pytest.mark.parametrize("start", [True, "pissa"])
def test_a_layer_that_is_left_out_may_be_of_any_type(start: Any) -> None:
    model = nn.ModuleDict({"linear": Doubled(4, 4), "wide": nn.LayerNorm(4)})
    adapted = apply_method(
        model, "lora", target_modules=["linear", "wide"], exclude_modules=["wide"], init_lora_weights=start, r=2
    )
    assert {name.split(".lora_")[0] for name, each in adapted.named_parameters() if each.requires_grad} == {
        "base_model.model.linear"
    }


@pytest.mark.parametrize("method", ["lora", "ssf", "bitfit", "vera"])
def test_the_layer_that_attention_of_torch_never_calls_gets_no_adapter(method: str) -> None:
    model = nn.TransformerDecoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    adapted = apply_method(model, method, **({"dropout": 0.0} if method == "lora" else {})).train()
    adapted(torch.randn(2, 5, 16), torch.randn(2, 3, 16)).sum().backward()
    trained = {name: each for name, each in adapted.named_parameters() if each.requires_grad}
    assert trained and all(each.grad is not None for each in trained.values())
    with pytest.raises(AdaptError, match=f"self_attn.out_proj is a .*, which {method} does not adapt"):
        apply_method(nn.TransformerDecoderLayer(16, 2, 32), method, target_modules=["out_proj"])


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


@pytest.mark.parametrize("method", ["lora", "ssf", "ia3"])
@pytest.mark.parametrize(
    ("targets", "says"),
    [
        ([], "is an empty list"),
        (["classifier"], "classifier is trained whole anyway: a new head"),
        ("all_linear", "did you mean 'all-linear'"),
        (["all_linear"], "did you mean 'all-linear'"),
    ],
)
def test_targets_that_leave_nothing_to_adapt_are_explained(method: str, targets: Any, says: str) -> None:
    with pytest.raises(AdaptError, match=rf"method\.target_modules.*{says}"):
        apply_method(MODELS["encoder"].seeded(), method, target_modules=targets)


def test_a_head_that_is_not_trained_may_be_adapted() -> None:
    module = apply_method(MODELS["encoder"].seeded(), "lora", target_modules=["classifier"], train_head=False)
    assert any("classifier.lora_A" in name for name, each in module.named_parameters() if each.requires_grad)
