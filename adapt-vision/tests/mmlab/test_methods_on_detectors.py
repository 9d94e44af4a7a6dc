"""Methods on the layers of real detectors: steps move what they train, and merging keeps the outputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from adapt_core import apply_method
from adapt_core.errors import AdaptError
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


# BOFT's blocks of 4 do not fit the 27 inputs of the first convolution, which PEFT refuses.
@pytest.mark.parametrize("method", [each for each in ON_CONVOLUTIONS if each != "boft"])
def test_a_method_trains_and_merges_on_rtmdet(method: str) -> None:
    """RTMDet has plain convolutions, some in groups, and in its heads some that stand at three places."""
    from test_mmdet_index import _images, library_for

    from adapt_vision.libraries.openmmlab.detectors import Detectors

    library = library_for("rtmdet_tiny_8xb32-300e_coco", Detectors, 64)
    torch.manual_seed(0)
    model = library.load_model(["a", "b", "c"], None, None)
    options = OPTIONS.get(method, {"target_modules": "conv"})
    _trains_and_merges(library, model.module, lambda: library.batch(model.processor, *_images(64)), method, options)


def tensors_of(outputs: Any) -> list[torch.Tensor]:
    """All tensors of nested outputs."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [each for part in outputs if part is not None for each in tensors_of(part)]


def _trains_and_merges(
    library: Any, module: Any, batch: Callable[[], dict[str, Any]], method: str, options: dict[str, Any]
) -> set[str]:
    """Two steps move what the method trains, and merging keeps the outputs; the names of what it trains."""
    made: Any = apply_method(module, method, phases=True, **options)
    adapted, applied = made
    trained = {name: each for name, each in adapted.named_parameters() if each.requires_grad}
    start = {name: each.detach().clone() for name, each in trained.items()}
    optimizer = torch.optim.Adam(trained.values(), lr=1e-2)
    adapted.train()
    for _ in range(2):
        optimizer.zero_grad()
        loss = library.call(adapted, batch())["loss"]
        loss.backward()
        optimizer.step()
    moved = [name for name, each in trained.items() if not torch.equal(each, start[name])]
    assert torch.isfinite(loss) and len(moved) >= len(trained) / 4, "of LoHa's four matrices one starts at zero"
    adapted.eval()
    with torch.no_grad():
        given = library.arguments(adapted, batch())
        before = tensors_of(adapted(**given))
        after = tensors_of(applied.merge(adapted)(**given))
    assert before
    for one, other in zip(before, after, strict=True):
        assert torch.allclose(one, other, atol=1e-3 * float(one.abs().max()))
    return set(trained)


ATTENTION: dict[str, tuple[Any, set[str]]] = {
    "deformable-detr_r50_16xb2-50e_coco": (
        "attention",
        {"sampling_offsets", "attention_weights", "value_proj", "output_proj"},
    ),
    "retinanet_swin-t-p4-w7_fpn_1x_coco": (["qkv", "proj"], {"qkv", "proj"}),
}
"""Models whose attention has linear layers of its own, with what LoRA is told, and the layers that it finds."""


@pytest.mark.parametrize("name", ATTENTION)
def test_lora_trains_and_merges_on_attention_with_linear_layers_of_its_own(name: str) -> None:
    from test_mmdet_index import _images, library_for

    from adapt_vision.libraries.openmmlab.detectors import Detectors

    library = library_for(name, Detectors, 64)
    torch.manual_seed(0)
    model = library.load_model(["a", "b", "c"], None, None)
    targets, layers = ATTENTION[name]
    batch = partial(library.batch, model.processor, *_images(64))
    trained = _trains_and_merges(library, model.module, batch, "lora", {"target_modules": targets})
    found = {each.partition(".lora_")[0].removeprefix("base_model.model.") for each in trained}
    assert {each.rpartition(".")[2] for each in found} == layers
    assert all("attn" in each for each in found)


def test_lora_trains_and_merges_on_the_gated_attention_of_rtmpose() -> None:
    import numpy as np
    from test_mmpose_index import library_for

    from adapt_vision.pose_detection.inputs import Sample

    library = library_for("rtmpose-t_8xb256-420e_coco-256x192")
    torch.manual_seed(0)
    model = library.load_model(["nose", "ear"], None, None)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 256, 192)).astype(np.uint8))
    sample = Sample(0, pixels, torch.tensor([[0.5, 0.5], [0.3, 0.4]]), torch.tensor([True, True]))
    batch = partial(library.batch, model.processor, [sample, sample])
    trained = _trains_and_merges(library, model.module, batch, "lora", {"target_modules": ["uv", "o"]})
    assert {each.partition(".lora_")[0].removeprefix("base_model.model.") for each in trained} == {
        "head.gau.uv",
        "head.gau.o",
    }


def test_attention_that_torch_computes_is_refused_with_the_reason() -> None:
    """DETR's: mmcv puts torch's own module around it, which reads its weights past any adapter."""
    from test_mmdet_index import library_for

    from adapt_vision.libraries.openmmlab.detectors import Detectors

    model = library_for("detr_r18_8xb2-500e_coco", Detectors, 64).load_model(["a"], None, None)
    with pytest.raises(AdaptError, match="MultiheadAttention reads its weights itself"):
        apply_method(model.module, "lora", target_modules=["out_proj"])
