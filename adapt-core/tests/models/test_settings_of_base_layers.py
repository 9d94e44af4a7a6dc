"""Models that look up settings of their layers, which Adapt's own tuners hand on."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adapt_core import apply_method
from adapt_core.peft.bottleneck.layer import BottleneckLayer
from adapt_core.peft.ssf.layer import SsfLayer


class Reader(nn.Module):
    """Pads as its convolution strides, and looks up what its other layers are, as models of timm do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.norm = nn.LayerNorm(8, eps=1e-3)
        self.linear = nn.Linear(8, 4)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        across, down = self.conv.stride
        features = self.conv(F.pad(pixel_values, (0, down, 0, across))).mean((2, 3))
        assert features.shape[-1] == self.linear.in_features
        return self.linear(self.norm(features) + self.norm.eps)


def mobilenet(version: int) -> nn.Module:
    from transformers import (
        MobileNetV1Config,
        MobileNetV1ForImageClassification,
        MobileNetV2Config,
        MobileNetV2ForImageClassification,
    )

    if version == 1:
        return MobileNetV1ForImageClassification(MobileNetV1Config(depth_multiplier=0.25, image_size=32))
    return MobileNetV2ForImageClassification(MobileNetV2Config(depth_multiplier=0.35, image_size=32))


MODELS: dict[str, Any] = {"v1": lambda: mobilenet(1), "v2": lambda: mobilenet(2), "reader": Reader}


@pytest.mark.parametrize("method", ["ssf", "bitfit"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_looks_up_settings_trains_merges_and_loads(name: str, method: str, tmp_path: Path) -> None:
    import peft

    torch.manual_seed(0)
    base = MODELS[name]().eval()
    for each in base.modules():
        if isinstance(each, nn.Conv2d):
            nn.init.kaiming_normal_(each.weight)  # as they are drawn, little gets through so many of them
    fresh = copy.deepcopy(base)
    adapted: Any = apply_method(base, method)
    images = torch.randn(2, 3, 32, 32)

    def outputs(model: Any) -> torch.Tensor:
        found = model.eval()(pixel_values=images)
        return getattr(found, "logits", found)  # type: ignore[no-any-return]

    before = outputs(adapted).detach()
    trained = [each for each in adapted.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    adapted.train()
    found = adapted(pixel_values=images)
    getattr(found, "logits", found).square().mean().backward()
    optimizer.step()
    with torch.no_grad():
        after = outputs(adapted)
        assert not torch.equal(after, before)
        adapted.save_pretrained(tmp_path)
        assert torch.allclose(outputs(peft.PeftModel.from_pretrained(fresh, str(tmp_path))), after, atol=1e-6)
        assert torch.allclose(outputs(adapted.merge_and_unload()), after, atol=1e-5)


def test_tensors_parts_and_methods_of_the_base_layer_are_not_handed_on() -> None:
    """With these a model could compute past the adapter; weight and bias, whose dtype models look up, are PEFT's."""
    model: Any = nn.ModuleDict({"bn": nn.BatchNorm2d(4), "linear": nn.Linear(4, 4)})
    for method, name in (("ssf", "bn"), ("bottleneck", "linear")):
        adapted: Any = apply_method(copy.deepcopy(model), method, target_modules=[name])
        layer = adapted.get_base_model()[name]
        assert isinstance(layer, SsfLayer | BottleneckLayer)
        assert (layer.eps, layer.num_features) == (1e-5, 4) if name == "bn" else layer.in_features == 4
        for absent in ("running_mean", "reset_parameters", "_hf_hook", "activation"):
            with pytest.raises(AttributeError, match=f"'{type(layer).__name__}' object has no attribute '{absent}'"):
                getattr(layer, absent)
        assert copy.deepcopy(layer).get_base_layer() is not layer.get_base_layer()
