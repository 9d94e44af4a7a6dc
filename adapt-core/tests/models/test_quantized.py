"""Quantized layers are told by what they hold; adapt-quant's tests have those of bitsandbytes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adapt_core.models.layers import why_not_plain
from adapt_core.models.quantized import is_quantized, original_class, quantized_widths, width_of
from adapt_core.pipeline.resources import count_parameters

OUT, IN = 6, 8


class OwnParameter(nn.Parameter):
    """As libraries have them, to quantize a weight when it is moved."""


class OwnLinear(nn.Linear):
    """Computes with codes in its own way."""

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(*x.shape[:-1], self.out_features)


def linear(weight: Tensor, kind: type[nn.Parameter] = nn.Parameter) -> nn.Linear:
    layer = OwnLinear(IN, OUT, bias=False)
    layer.weight = kind(weight, requires_grad=False)
    return layer


@pytest.mark.parametrize(
    ("layer", "bits"),
    [
        (linear(torch.zeros(OUT, IN, dtype=torch.int8)), 8),
        (linear(torch.zeros(OUT * IN // 2, 1, dtype=torch.uint8)), 4),
        (linear(torch.zeros(OUT * IN // 4, 1, dtype=torch.bfloat16), OwnParameter), 4),  # in a dtype that FSDP takes
        (linear(torch.zeros(OUT, IN, dtype=torch.float8_e4m3fn)), 8),
    ],
)
def test_the_width_is_the_size_of_what_is_kept_of_a_weight(layer: nn.Linear, bits: int) -> None:
    module = nn.Sequential(layer, nn.Linear(OUT, 5))
    assert width_of(layer) == bits and quantized_widths(module) == [bits]
    assert is_quantized(module) and not is_quantized(module[1])
    assert count_parameters(module)["total"] == OUT * IN + 5 * OUT + 5
    assert why_not_plain(layer) is None  # a quantized layer computes what the plain one would


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_numbers_are_not_quantized(dtype: torch.dtype) -> None:
    for layer in (nn.Linear(IN, OUT), nn.Embedding(OUT, IN), linear(torch.zeros(OUT, IN), OwnParameter)):
        assert width_of(layer.to(dtype)) is None and not is_quantized(layer)
    assert why_not_plain(linear(torch.zeros(OUT, IN, dtype=dtype))) is not None


def test_weights_that_are_quantized_for_each_product_are_told_by_the_mark_of_transformers() -> None:
    module: Any = nn.Sequential(linear(torch.zeros(OUT, IN), OwnParameter))
    assert quantized_widths(module) == []
    module.is_loaded_in_8bit = True
    assert quantized_widths(nn.Sequential(module)) == [8]


def test_the_class_before_quantization_is_the_one_that_transformers_notes() -> None:
    layer: Any = nn.Linear(IN, OUT)
    assert original_class(layer) is nn.Linear
    layer.source_cls = nn.Embedding
    assert original_class(layer) is nn.Embedding
