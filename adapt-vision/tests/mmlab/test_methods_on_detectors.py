"""Methods on the convolutions of a real detector: a step moves what they train, and merging keeps the outputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adapt_core import apply_method
from adapt_core.kinds import Kind, MethodSpec
from adapt_core.plugins.registry import Registry

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

ON_CONVOLUTIONS = [
    entry.spec.name
    for entry in Registry.load().entries(Kind.METHOD)
    if isinstance(entry.spec, MethodSpec) and entry.spec.support == "tested" and "Conv2d" in entry.spec.module_types
]
OPTIONS: dict[str, dict[str, Any]] = {
    "bitfit": {},
    "ssf": {},
    "ia3": {"target_modules": "conv", "feedforward_modules": []},
}
"""Of those that find their layers by themselves, or need more than the preset."""


def test_the_methods_are_those_that_declare_convolutions() -> None:
    assert {"lora", "dora", "ssf", "bitfit", "ia3"} <= set(ON_CONVOLUTIONS)


@pytest.mark.parametrize("method", ON_CONVOLUTIONS)
def test_a_method_trains_and_merges_on_rtmdet(method: str) -> None:
    """RTMDet has plain convolutions, some in groups, and in its heads some that stand at three places."""
    from test_mmdet_index import _images, library_for

    from adapt_vision.libraries.openmmlab.detectors import Detectors

    library = library_for("rtmdet_tiny_8xb32-300e_coco", Detectors, 64)
    torch.manual_seed(0)
    model = library.load_model(["a", "b", "c"], None, None)
    options = OPTIONS.get(method, {"target_modules": "conv"})
    made: Any = apply_method(model.module, method, phases=True, **options)
    adapted, applied = made
    batch = library.batch(model.processor, *_images(64))
    trained = {name: each for name, each in adapted.named_parameters() if each.requires_grad}
    start = {name: each.detach().clone() for name, each in trained.items()}
    optimizer = torch.optim.Adam(trained.values(), lr=1e-2)
    adapted.train()
    for _ in range(2):
        optimizer.zero_grad()
        loss = library.call(adapted, batch)["loss"]
        loss.backward()
        optimizer.step()
    moved = [name for name, each in trained.items() if not torch.equal(each, start[name])]
    assert torch.isfinite(loss) and len(moved) > len(trained) / 3
    adapted.eval()
    with torch.no_grad():
        given = library.arguments(adapted, library.batch(model.processor, *_images(64)))
        before = [each for part in adapted(**given) for each in part]
        after = [each for part in applied.merge(adapted)(**given) for each in part]
    for one, other in zip(before, after, strict=True):
        assert torch.allclose(one, other, atol=1e-3 * float(one.abs().max()))
