"""What a module takes from its parts other than by calling them, and what becomes of adapters there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adapt_core import AdaptError, apply_method
from adapt_core.peft.reading import settings_read, weights_read


class Reader(nn.Module):
    """Reads the weight of one layer, asks the others for facts, and hands one to a function."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.called, self.compared = (nn.Linear(4, 4) for _ in range(3))
        self.padded, self.free = (nn.Conv1d(1, 1, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.called.weight)

    def reset(self) -> Tensor:
        return self.called.weight * 0

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.called.weight.dtype) @ self.read.weight.T
        if self.compared.weight is not None and isinstance(self.compared.weight, Tensor):
            x = self.called(x)
        return self.free(strided(x[:, None], self.padded))[:, 0]


class Further(Reader):
    """Its methods are those of the class above too."""


def strided(x: Tensor, layer: Any) -> Tensor:
    return layer(x)[..., :: layer.stride[0]]  # type: ignore[no-any-return]


def test_what_is_computed_with_and_what_is_only_asked_for() -> None:
    for kind in (Reader, Further):
        assert weights_read(kind) == {"read"}
        assert settings_read(kind) == {"padded"}
    assert weights_read(nn.Linear) == weights_read(type("Made", (nn.Module,), {})) == set()


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

    def made() -> Any:
        sizes = {"depth_multiplier": 0.25, "min_depth": 4, "depth_divisible_by": 4, "image_size": 32, "num_labels": 3}
        return MobileNetV2ForImageClassification(MobileNetV2Config(**sizes))  # type: ignore[arg-type]

    with pytest.raises(AdaptError, match=r"MobileNetV2ConvLayer reads settings of it .*\(ssf works there\)"):
        apply_method(made(), "lora", target_modules="conv")
    adapted = apply_method(made(), "ssf", target_modules="conv").train()
    adapted(pixel_values=torch.randn(2, 3, 32, 32), labels=torch.tensor([0, 1])).loss.backward()
