"""Every collection of MMDet's index gets heads for the data's classes; a step is taken with twelve families."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

CLASSES = 7

FAMILIES: dict[str, int | None] = {
    "yolox_nano_8xb8-300e_coco": 64,
    "rtmdet_tiny_8xb32-300e_coco": 64,
    "retinanet_r18_fpn_1x_coco": 64,
    "fcos_r18_fpn_gn-head-center-normbbox-centeronreg-giou_8xb8-amp-lsj-200e_coco": 64,
    "atss_r18_fpn_8xb8-amp-lsj-200e_coco": 64,
    "tood_r50_fpn_1x_coco": 64,
    "detr_r18_8xb2-500e_coco": 64,
    "conditional-detr_r50_8xb2-50e_coco": 64,
    "deformable-detr_r50_16xb2-50e_coco": 64,
    "faster-rcnn_r18_fpn_8xb8-amp-lsj-200e_coco": 64,
    "cascade-rcnn_r18_fpn_8xb8-amp-lsj-200e_coco": 64,
    "yolov3_mobilenetv2_8xb24-320-300e_coco": 96,
    "centernet_r18-dcnv2_8xb16-crop512-140e_coco": None,
}
"""A configuration of each family, and the edge of its images; None where its steps resize none."""

MASKS = {
    "rtmdet-ins_tiny_8xb32-300e_coco": 64,
    "mask-rcnn_r18_fpn_8xb8-amp-lsj-200e_coco": 64,
}


def library_for(name: str, kind: Any, size: int | None, method: str = "full") -> Any:
    from adapt_vision.libraries.openmmlab.options import OpenMMLabModel

    model = OpenMMLabModel(name=name, pretrained=False, library="mmdet")
    spec = SimpleNamespace(name=method, saves="model")
    plan: Any = SimpleNamespace(
        model=model, train_head=None, method=SimpleNamespace(spec=spec), training=SimpleNamespace(do_train=True)
    )
    return kind(plan, size)


NEEDS_MMPRETRAIN = ["cascade-mask-rcnn_convnext-t-p4-w7_fpn_4conv1fc-giou_amp-ms-crop-3x_coco"]
"""The one collection that has no configuration without another library."""


def collections() -> list[str]:
    """The first configuration of each collection of the index; of those that need no other library, if there are."""
    from adapt_vision.libraries.openmmlab.configuration import index_folder, indexed

    found: dict[bool, dict[str, str]] = {True: {}, False: {}}
    for each in indexed("mmdet"):
        file = index_folder("mmdet") / each.get("Config", "")
        if file.is_file():
            found["mmpretrain" in file.read_text()].setdefault(str(each.get("In Collection")), file.stem)
    return sorted((found[True] | found[False]).values())


def test_every_collection_of_the_index_has_heads_of_the_data_s_size() -> None:
    """Built without memory; those that are none of the tasks' are refused with the reason."""
    from adapt_vision.libraries.openmmlab.detectors import Detectors
    from adapt_vision.libraries.openmmlab.heads import OUTSIDE, without_memory

    names = [f"class {number}" for number in range(CLASSES)]
    sized, outside, needy, failed = [], [], [], {}
    for name in collections():
        library = library_for(name, Detectors, None)
        try:
            config = library._config(names)
            head = library.head(config.model, CLASSES)
            with without_memory():
                module = library.build(copy.deepcopy(config.model))
            parts = dict(module.named_modules())
            assert head and all(part in parts for part in head)
            total = sum(each.numel() for each in module.parameters())
            assert sum(each.numel() for part in head for each in parts[part].parameters()) < total / 2
            sized.append(name)
        except Exception as error:  # noqa: BLE001  # all of them are told at once
            if any(reason in str(error) for reason in OUTSIDE.values()):
                outside.append(name)
            elif "mmpretrain" in str(error):
                needy.append(name)
            else:
                failed[name] = f"{type(error).__name__}: {error}"
    print(len(sized), "sized,", len(outside), "outside:", outside)
    assert not failed, "\n".join(f"{name}: {reason}" for name, reason in failed.items())
    assert (len(sized), len(outside), needy) == (71, 14, NEEDS_MMPRETRAIN)


def _images(size: int) -> tuple[list[Image.Image], list[list[Any]]]:
    """Two images with a rectangle of their class each."""
    from adapt_vision.annotations.masks import encoded
    from adapt_vision.annotations.objects import Annotation

    draw = np.random.default_rng(0)
    images, objects = [], []
    for number in range(2):
        pixels = draw.integers(0, 60, (size, size, 3)).astype(np.uint8)
        mask = np.zeros((size, size), dtype=np.uint8)
        mask[size // 4 : size // 2, size // 4 : 3 * size // 4] = 1
        pixels[mask == 1] = (200, 40 * number, 90)
        images.append(Image.fromarray(pixels))
        box = (size / 4, size / 4, size / 2, size / 4)
        objects.append([Annotation(number + 1, number, box, box[2] * box[3], mask=encoded(mask))])
    return images, objects


def _step(name: str, kind: Any, size: int | None) -> None:
    from mmengine.logging import MessageHub

    library = library_for(name, kind, size)
    torch.manual_seed(0)
    MessageHub.get_current_instance().update_info("epoch", 0)  # TOOD asks for it
    model = library.load_model(["a", "b", "c"], None, None)
    model.module.requires_grad_(True)
    model.module.train()
    images, objects = _images(size or 64)
    batch = library.batch(model.processor, images, objects)
    loss = library.call(model.module, batch, labels=True)["loss"]
    loss.backward()
    assert torch.isfinite(loss) and loss > 0
    head = dict(model.module.named_modules())
    touched = [each.grad is not None for part in model.hints.head for each in head[part].parameters()]
    assert touched and any(touched), "nothing in the head has a gradient"
    model.module.eval()
    with torch.no_grad():
        found = library.measured(model.processor, model.module, library.batch(model.processor, images, objects))
        batch = library.batch(model.processor, images, objects)
        assert model.module(**library.arguments(model.module, batch)) is not None
        raw = library.raw(_first(library.infer(model, images[0])))
    assert len(found["found"]) == 2 and raw.ndim == 2 and bool(torch.isfinite(raw).all())


def _first(inferred: Any) -> Any:
    return inferred[0] if isinstance(inferred[0], tuple) else inferred


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_of_a_family_of_detectors(name: str) -> None:
    from adapt_vision.libraries.openmmlab.detectors import Detectors

    _step(name, Detectors, FAMILIES[name])


@pytest.mark.parametrize("name", MASKS)
def test_a_step_of_a_family_with_masks(name: str) -> None:
    from adapt_vision.libraries.openmmlab.segmenters import Segmenters

    _step(name, Segmenters, MASKS[name])
