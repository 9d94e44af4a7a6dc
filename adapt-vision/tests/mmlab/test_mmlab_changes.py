"""What ``cfg_options`` changes has an effect, or is refused by name with what to do instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adapt_core.errors import AdaptError

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")
pytest.importorskip("mmpose", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

YOLOX = "yolox_nano_8xb8-300e_coco"
MASK_RCNN = "mask-rcnn_r18_fpn_8xb8-amp-lsj-200e_coco"
MASK2FORMER = "mask2former_r50_8xb2-lsj-50e_coco"
HEATMAPS = "td-hm_mobilenetv2_8xb64-210e_coco-256x192"


def detectors(name: str, changes: dict[str, Any], size: int | None = None) -> Any:
    from test_mmdet_index import library_for

    from adapt_vision.libraries.openmmlab.detectors import Detectors

    library = library_for(name, Detectors, size)
    library.options = library.options.model_copy(update={"cfg_options": changes})
    return library


def poses(changes: dict[str, Any]) -> Any:
    from test_mmpose_index import library_for

    library = library_for(HEATMAPS)
    library.options = library.options.model_copy(update={"cfg_options": changes})
    return library


@pytest.mark.parametrize(
    ("made", "name", "changes", "remedy"),
    [
        (detectors, MASK_RCNN, {"model.backbone.frozen_stages": 2}, "the method says what is trained"),
        (detectors, MASK_RCNN, {"model.backbone.norm_cfg.type": "SyncBN"}, "as BN does"),
        (detectors, MASK_RCNN, {"model.backbone.norm_cfg": {"type": "MMSyncBN"}}, "as BN does"),
        (detectors, MASK_RCNN, {"model.backbone.init_cfg.checkpoint": "x.pth"}, "model.path"),
        (detectors, MASK_RCNN, {"model.neck.init_cfg": {"type": "Pretrained", "checkpoint": "x.pth"}}, "model.path"),
        (detectors, MASK_RCNN, {"model.backbone.pretrained": "x.pth"}, "model.path"),
        (detectors, MASK_RCNN, {"model": {"roi_head": {"bbox_head": {"num_classes": 7}}}}, "classes of the data"),
        (detectors, MASK2FORMER, {"model.panoptic_head.loss_cls.class_weight": [2.0, 1.0, 0.1]}, "classes of the data"),
        (
            detectors,
            YOLOX,
            {"model.data_preprocessor.batch_augments": [{"type": "BatchSyncRandomResize", "interval": 1}]},
            "task.augmentation",
        ),
        (detectors, YOLOX, {"test_pipeline.0.imdecode_backend": "pillow"}, "Remove it"),
        (poses, HEATMAPS, {"model.test_cfg.flip_test": True}, "not mirrored"),
        (poses, HEATMAPS, {"model": {"test_cfg": {"flip_test": False}}}, "not mirrored"),
        (poses, HEATMAPS, {"model.head.out_channels": 5}, "keypoints of the data"),
        (poses, HEATMAPS, {"test_pipeline.3.meta_keys": ["id"]}, "Remove it"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_a_change_without_an_effect_is_refused(made: Any, name: str, changes: dict[str, Any], remedy: str) -> None:
    """Also beside one that has an effect."""
    effective = {"test_pipeline.1.padding": 1.5} if made is poses else {"model.test_cfg.x": 3}
    library = made({**changes, **effective}) if made is poses else made(name, {**changes, **effective})
    with pytest.raises(AdaptError, match="has no effect here") as caught:
        library._config(["a", "b"])
    key = next(iter(changes))
    assert f": {key}" in caught.value.message and remedy in caught.value.hint


def test_a_size_of_images_is_refused_beside_the_task_s_own() -> None:
    changes = {"test_pipeline.1.scale": [64, 64]}
    detectors(YOLOX, changes)._config(["a"])
    with pytest.raises(AdaptError, match=r"test_pipeline\.1\.scale has no effect"):
        detectors(YOLOX, changes, size=96)._config(["a"])


def test_a_value_that_was_there_before_is_accepted() -> None:
    changes = {"model.bbox_head.loss_cls.loss_weight": 1.0, "model.backbone.type": "CSPDarknet"}
    assert detectors(YOLOX, changes)._config(["a"]).to_dict() == detectors(YOLOX, {})._config(["a"]).to_dict()


def test_a_changed_pipeline_makes_other_images() -> None:
    image = Image.fromarray(np.zeros((50, 80, 3), np.uint8))
    shapes = []
    padding = {"test_pipeline.2.pad_to_square": False, "test_pipeline.2.size_divisor": 32}
    for changes in ({}, {"test_pipeline.1.scale": [160, 96], **padding}):
        library = detectors(YOLOX, changes)
        processor = library.load_processor()
        shapes.append(tuple(library.batch(processor, [image], [[]])["inputs"][0].shape))
    assert shapes == [(3, 416, 416), (3, 96, 160)], "1.92 times as large, the width filled up to 32s"


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_the_sigma_of_the_codec_is_that_of_the_targets(sigma: float) -> None:
    """A Gaussian of the heatmap's pixels: at a distance of two it has exp(-2² / 2 sigma²) of its peak."""
    from adapt_vision.pose_detection.inputs import Sample

    library = poses({"model.head.decoder.sigma": sigma})
    processor = library.load_processor()
    pixels = torch.zeros(3, 256, 192, dtype=torch.uint8)
    points = torch.tensor([[80 / 191, 120 / 255]])
    (sample,) = library.batch(processor, [Sample(0, pixels, points, torch.tensor([True]))])["data_samples"]
    heatmap = sample.gt_fields.heatmaps[0]
    assert float(heatmap[30, 20]) == 1.0
    assert float(heatmap[30, 22]) == pytest.approx(np.exp(-4 / (2 * sigma**2)), rel=1e-5)


def test_the_batch_that_a_rate_was_tuned_for_may_be_changed() -> None:
    """It scales the rate where ``training.auto_scale_lr`` is set; the change is one that is read."""
    library = detectors(YOLOX, {"auto_scale_lr.base_batch_size": 32})
    assert library._source.auto_scale_lr.base_batch_size == 32
    with pytest.raises(AdaptError, match=r"auto_scale_lr\.enable has no effect"):
        detectors(YOLOX, {"auto_scale_lr.enable": True})._config(["a"])


def test_steps_under_a_library_s_own_name_are_refused_with_the_common_one() -> None:
    with pytest.raises(AdaptError, match="has no effect here") as caught:
        poses({"val_dataloader.dataset.pipeline.1.padding": 1.5})._config(["a", "b"])
    assert "test_pipeline" in caught.value.hint
