"""What a module takes from its parts other than by calling them, and what becomes of adapters there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adapt_core import AdaptError, apply_method
from adapt_core.models.module_source import settings_read, weights_read


class Reader(nn.Module):
    """Reads the weight of one layer, asks the others for facts, and hands one to a function."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.called, self.compared = (nn.Linear(4, 4) for _ in range(3))
        self.padded, self.free = (nn.Conv1d(1, 1, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.called.weight)

    def _reset(self) -> Tensor:
        return self.called.weight * 0

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.called.weight.data.dtype).type_as(self.called.weight) @ self.read.weight.T
        if self.compared.weight is not None and isinstance(self.compared.weight, Tensor):
            x = self.called(x)
        assert hasattr(self.free, "forward")
        return self.free(strided(x[:, None], self.padded))[:, 0]


class Further(Reader):
    """Its methods are those of the class above too."""


def strided(x: Tensor, layer: Any) -> Tensor:
    return layer(x)[..., :: layer.stride[0]]  # type: ignore[no-any-return]


class Switched(nn.Module):
    """Reads weights in branches that its own settings, or only a call, decide."""

    def __init__(self, *, split: int, exact: bool) -> None:
        super().__init__()
        self.split, self.exact = split, exact
        self.parts, self.either, self.on_device = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = x @ self.parts.weight if self.split > 1 and self.exact else self.parts(x)
        if not self.exact:
            x = self.either(x) + 1
        else:
            x = x @ self.either.weight
            x = x + 1
        if self.exact or x.is_cuda:
            x = x @ self.on_device.weight
        return x


class Maker(nn.Module):
    """Makes others of its kind, and copies what it is told once, as MMCV's ``ConvModule`` does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.stride = self.conv.stride

    @staticmethod
    def of(conv: nn.Conv2d) -> Maker:
        self = Maker()
        self.conv = conv
        self.stride = self.conv.stride
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)  # type: ignore[no-any-return]


def test_what_makes_another_module_reads_nothing_of_this_one() -> None:
    assert settings_read(Maker()) == set()


def test_what_is_computed_with_and_what_is_only_asked_for() -> None:
    for kind in (Reader, Further):
        assert weights_read(kind()) == {"read"}
        assert settings_read(kind()) == {"padded"}
    made: Any = type("Made", (nn.Module,), {})  # without source
    assert weights_read(nn.Linear(1, 1)) == weights_read(made()) == set()


def test_branches_that_the_settings_of_a_module_rule_out_do_not_count() -> None:
    assert weights_read(Switched(split=2, exact=True)) == {"parts", "either", "on_device"}
    assert weights_read(Switched(split=1, exact=True)) == {"either", "on_device"}
    assert weights_read(Switched(split=2, exact=False)) == {"on_device"}  # a call may be on a GPU


def test_bloom_is_adapted_as_it_computes() -> None:
    from transformers import BloomConfig, BloomForCausalLM

    sizes = {"vocab_size": 20, "hidden_size": 8, "n_layer": 1, "n_head": 2}
    expected = {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}
    for slow in ({}, {"slow_but_exact": True}, {"slow_but_exact": True, "pretraining_tp": 2}):
        adapted = apply_method(BloomForCausalLM(BloomConfig(**sizes, **slow)), "lora")  # type: ignore[arg-type]
        layers = {
            name.split(".lora_")[0].rpartition(".")[2] for name, _ in adapted.named_parameters() if "lora" in name
        }
        assert layers == (expected if len(slow) < 2 else expected - {"dense", "dense_4h_to_h"})


@pytest.mark.parametrize("method", ["lora", "ssf", "bitfit", "vera"])
def test_an_adapter_that_could_do_nothing_is_refused(method: str) -> None:
    module = nn.Sequential(Reader())
    says = "computes with its weight past it, so that an adapter there could do nothing"
    with pytest.raises(AdaptError, match=rf"0\.read is a Linear, .*: Reader {says}"):
        apply_method(module, method, target_modules=["read"])
    adapted = apply_method(nn.Sequential(Reader()), method, target_modules="all-linear")
    trained = {name for name, each in adapted.named_parameters() if each.requires_grad}
    assert trained and not any(".read." in name for name in trained)


def test_a_convolution_whose_settings_are_read_is_no_layer_for_a_wrapper_without_them() -> None:
    with pytest.raises(AdaptError, match=r"0\.padded is a Conv1d, .* Reader reads settings of it"):
        apply_method(nn.Sequential(Reader()), "lora", target_modules=["padded"])
    for method, options in (("lora", {"target_modules": "conv"}), ("ssf", {"target_modules": ["padded", "free"]})):
        adapted = apply_method(nn.Sequential(Reader()), method, **options)
        adapted(torch.randn(2, 4)).sum().backward()


def test_the_mobile_net_of_transformers_is_adapted_where_it_can_be() -> None:
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    def made(**settings: Any) -> Any:
        sizes = {"depth_multiplier": 0.25, "min_depth": 4, "depth_divisible_by": 4, "image_size": 32, "num_labels": 3}
        return MobileNetV2ForImageClassification(MobileNetV2Config(**sizes, **settings))  # type: ignore[arg-type]

    with pytest.raises(AdaptError, match=r"MobileNetV2ConvLayer reads settings of it .*\(ssf works there\)"):
        apply_method(made(), "lora", target_modules="conv")
    # It reads them to pad as TensorFlow does.
    for module, method in ((made(), "ssf"), (made(tf_padding=False), "lora")):
        adapted = apply_method(module, method, target_modules="conv").train()
        adapted(pixel_values=torch.randn(2, 3, 32, 32), labels=torch.tensor([0, 1])).loss.backward()
