"""Where bottleneck adapters have no place, cannot be merged or are configured wrong, and what is said then."""

from __future__ import annotations

from typing import Any

import peft
import pytest
import torch
from torch import nn

from adapt_core import AdaptError, apply_method
from adapt_core.peft import BottleneckConfig
from adapt_core.peft.bottleneck.layer import BottleneckLayer
from adapt_core.testing import MODELS
from adapt_core.testing.models import WIDTH


@pytest.mark.parametrize(
    ("module", "options", "says"),
    [
        (lambda: MODELS["convolutional"].seeded(), {}, "ResNetForImageClassification has no transformer blocks"),
        (
            lambda: MODELS["convolutional"].seeded(),
            {"target_modules": "conv"},
            "no layer of the preset 'conv' that the method adapts, which are Linear",
        ),
        (
            lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 1),
            {},
            "has no transformer blocks",
        ),
        (
            lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 1),
            {"target_modules": ["linear2"]},
            "TransformerEncoderLayer reads its weights itself in evaluation",
        ),
        (lambda: MODELS["encoder"].seeded(), {"placement": "pfeiffer", "target_modules": ["query"]}, "remove one"),
    ],
)
def test_what_cannot_have_an_adapter_is_refused_with_the_reason(module: Any, options: Any, says: str) -> None:
    with pytest.raises(AdaptError, match=says):
        apply_method(module(), "bottleneck", **options)


def block_with(feed_forward: nn.Module) -> nn.Module:
    """A Llama whose first block has another feed-forward."""
    module: Any = MODELS["causal_lm"].build()
    module.model.layers[0].mlp = feed_forward
    return module  # type: ignore[no-any-return]


class TinyExperts(nn.ModuleList):
    """A mixture of experts with its layers as modules."""


@pytest.mark.parametrize(
    ("feed_forward", "says"),
    [
        (lambda: TinyExperts(nn.Linear(WIDTH, WIDTH) for _ in range(2)), "layers.0 belongs to a mixture of experts"),
        (
            lambda: nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(4))),
            "layers.0 has 4 linear layers outside its",
        ),
        (lambda: nn.Sequential(nn.Linear(WIDTH, 64), nn.Linear(64, 16)), f"none of them give {WIDTH} features"),
    ],
)
def test_a_block_built_in_another_way_is_refused(feed_forward: Any, says: str) -> None:
    with pytest.raises(AdaptError, match=says) as refused:
        apply_method(block_with(feed_forward()), "bottleneck")
    assert "method.target_modules" in str(refused.value.hint)


def test_merging_is_refused_with_the_reason() -> None:
    adapted: Any = apply_method(MODELS["encoder"].seeded(), "bottleneck")
    with pytest.raises(NotImplementedError, match="a non-linearity, which no weight can take up"):
        adapted.merge_and_unload()


def test_a_configuration_written_by_hand_is_checked() -> None:
    with pytest.raises(ValueError, match="form must be one of serial, parallel"):
        BottleneckConfig(form="sideways")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="non_linearity must be one of relu, gelu"):
        BottleneckLayer(nn.Linear(2, 2), "default", BottleneckConfig(non_linearity="rlu"))
    config = BottleneckConfig(target_modules=["2"], form="parallel", input_modules={"2": "9"})
    with pytest.raises(ValueError, match="'9', which the bottleneck at '2' reads, is no module"):
        peft.get_peft_model(nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2)), config)


def test_an_input_that_cannot_be_had_is_an_error() -> None:
    other = nn.Linear(3, 3)
    layer = BottleneckLayer(nn.Linear(3, 3), "default", BottleneckConfig(form="parallel"), other)
    with pytest.raises(RuntimeError, match="input of a Linear that was not called before it"):
        layer(torch.zeros(2, 3))
    other(torch.zeros(1, 3))
    with pytest.raises(RuntimeError, match=r"reads a tensor of shape \(1, 3\)"):
        layer(torch.zeros(2, 3))
