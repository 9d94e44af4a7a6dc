"""Every collection of MMPose's index is the task's or outside with its reason; each kind of head takes a step."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adapt_core.errors import AdaptError

pytest.importorskip("mmpose", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

KEYPOINTS = ["nose", "ear", "tail"]

OUTSIDE = {
    "AE": "another way",
    "CID": "another way",
    "DEKR": "another way",
    "RTMO": "another way",
    "YOLOXPose": "another way",
    "SimpleBaseline3D": "another way",
    "VideoPose3D": "another way",
    "MotionBERT": "another way",
    "ED-Pose": "cannot be read",  # its configuration imports one that MMPose does not ship
    "ViTPose": "mmpretrain",
    "MSPN": "several widths",
    "RSN": "several widths",
    "InterNet": "two hands",
}
"""Collections that are none of the task's, with what the error says."""

HEADS = {
    "CPMHead": "td-hm_cpm_8xb64-210e_coco-256x192",
    "DSNTHead": "ipr_res50_dsnt-8xb64-210e_coco-256x256",
    "HeatmapHead": "td-hm_mobilenetv2_8xb64-210e_coco-256x192",
    "RLEHead": "td-reg_mobilenetv2_rle-pretrained-8xb64-210e_coco-256x192",
    "RTMCCHead": "rtmpose-t_8xb256-420e_coco-256x192",
    "RTMWHead": "rtmw-m_8xb1024-270e_cocktail14-256x192",
    "RegressionHead": "td-reg_res50_8xb64-210e_coco-256x192",
    "SimCCHead": "simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192",
    "ViPNASHead": "td-hm_vipnas-mbv3_8xb64-210e_coco-256x192",
}
"""A configuration of each kind of head."""

FURTHER = ["td-hm_hrnet-w32_8xb64-210e_coco-256x192", "cspnext-tiny_udp_8xb256-210e_coco-256x192"]
"""The same kind of head on a backbone with several outputs, and with another codec."""


def library_for(name: str) -> Any:
    from adapt_vision.libraries.openmmlab.options import OpenMMLabModel
    from adapt_vision.libraries.openmmlab.poses import Poses

    plan: Any = SimpleNamespace(
        model=OpenMMLabModel(name=name, pretrained=False, library="mmpose"),
        train_head=None,
        task=SimpleNamespace(options=SimpleNamespace(sigma=None)),
        method=SimpleNamespace(spec=SimpleNamespace(name="full", saves="model")),
        training=SimpleNamespace(do_train=True),
    )
    return Poses(plan, None)


def collections() -> dict[str, str]:
    """The first configuration of each collection of the index."""
    from adapt_vision.libraries.openmmlab.configuration import index_folder, indexed

    found: dict[str, str] = {}
    for each in indexed("mmpose"):
        if each.get("Config") and (index_folder("mmpose") / each["Config"]).is_file():
            found.setdefault(str(each.get("In Collection")), Path(each["Config"]).stem)
    return found


def test_every_collection_of_the_index_has_a_head_of_the_data_s_size_or_is_outside() -> None:
    """Built without memory. What is built has one of the kinds of heads that take a step below."""
    from adapt_vision.libraries.openmmlab.heads import without_memory

    sized, outside, heads = [], [], set()
    for collection, name in collections().items():
        library = library_for(name)
        try:
            config = library._config(KEYPOINTS)
            with without_memory():
                parts = dict(library.build(copy.deepcopy(config.model)).named_modules())
                head = library.head(config.model, len(KEYPOINTS))
        except (AdaptError, ImportError, KeyError) as error:
            assert OUTSIDE.get(collection, "nothing") in str(error), f"{collection}, {name}"
            outside.append(collection)
            continue
        assert head and all(part in parts for part in head), name
        heads.add(config.model.head.type)
        sized.append(collection)
    assert sorted(outside) == sorted(OUTSIDE) and len(sized) == 20
    assert heads <= set(HEADS)


@pytest.mark.parametrize("name", [*HEADS.values(), *FURTHER])
def test_a_step_of_each_kind_of_head(name: str) -> None:
    """Two crops with three keypoints each, one of them not annotated."""
    from adapt_vision.pose_detection.inputs import Sample

    library = library_for(name)
    model = library.load_model(KEYPOINTS, None, None)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8))
    box = (20.0, 10.0, 80.0, 90.0)
    pixels, matrix = library.crop(model.processor, image, box, 0.0)
    centre = matrix @ np.array([60.0, 55.0, 1.0])
    assert centre == pytest.approx([pixels.shape[2] / 2, pixels.shape[1] / 2], abs=1.0), "the box's centre"
    points = torch.tensor([[0.5, 0.5], [0.3, 0.4], [0.6, 0.7]])
    samples = [Sample(row, pixels, points, torch.tensor([True, True, False])) for row in range(2)]
    model.module.requires_grad_(True)
    model.module.train()
    loss = library.call(model.module, library.batch(model.processor, samples))["loss"]
    loss.backward()
    assert torch.isfinite(loss)
    head = dict(model.module.named_modules())
    assert any(each.grad is not None for part in model.hints.head for each in head[part].parameters())
    model.module.eval()
    with torch.no_grad():
        answer = library.infer(model, image, [box])
    (found,) = library.found(model.processor, answer, [box])
    assert found.shape == (3, 3) and np.isfinite(found).all()
