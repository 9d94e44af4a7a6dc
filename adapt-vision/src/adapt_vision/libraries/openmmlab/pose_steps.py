"""The steps of a top-down configuration of MMPose: crops of boxes, and targets of keypoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from adapt_core.errors import AdaptError
from adapt_vision.libraries.openmmlab.processor import Configured, bare

CUTTING = ("GetBBoxCenterScale", "TopdownAffine")
"""The steps of a configuration that are read."""


class Steps:
    """The steps of a top-down configuration.

    Args:
        processor: of the model.
    """

    def __init__(self, processor: Configured) -> None:
        self.processor = processor
        kinds = {bare(each["type"]): each for each in processor.config.test_pipeline}
        for name in CUTTING:
            if name not in kinds:
                raise AdaptError(
                    f"The test_pipeline of the configuration has no step {name}, which cuts out boxes",
                    "Name the configuration of a top-down model.",
                )
        self._kinds = kinds

    @cached_property
    def centre(self) -> Any:
        """From ``bbox`` to its centre and scale."""
        return self._built(self._kinds["GetBBoxCenterScale"])

    @cached_property
    def affine(self) -> Any:
        """Cuts the crop out."""
        return self._built(self._kinds["TopdownAffine"])

    @cached_property
    def _target(self) -> Any:
        return self._built({"type": "GenerateTarget", "encoder": dict(self.processor.config.model.head.decoder)})

    @cached_property
    def _packing(self) -> Any:
        return self._built({"type": "PackPoseInputs", "meta_keys": ("input_size", "input_center", "input_scale")})

    def _built(self, step: Mapping[str, Any]) -> Any:
        from mmpose.registry import TRANSFORMS

        return TRANSFORMS.build(dict(step))

    def labelled(self, points: np.ndarray, seen: np.ndarray) -> Any:
        """A sample of MMPose with the targets of keypoints, in pixels of the crop, of shape (1, keypoints, 2)."""
        size = np.array(self._kinds["TopdownAffine"]["input_size"])
        results = {"transformed_keypoints": points.astype(np.float32), "keypoints_visible": seen, "input_size": size}
        made = self._packing({**self._target({**results, "keypoints": points}), "img": np.zeros((1, 1, 3), np.uint8)})
        return made["data_samples"]

    def asked(self, box: Sequence[float]) -> Any:
        """A sample of MMPose with a box, whose keypoints are asked for."""
        from mmengine.structures import InstanceData
        from mmpose.structures import PoseDataSample

        made = self.centre({"bbox": corners([box])})
        width, height = self._kinds["TopdownAffine"]["input_size"]
        scale = self.affine._fix_aspect_ratio(made["bbox_scale"], aspect_ratio=width / height)
        instances = InstanceData(
            bboxes=made["bbox"], bbox_centers=made["bbox_center"], bbox_scales=scale, bbox_scores=np.ones(1, np.float32)
        )
        information = {
            "input_size": (width, height), "input_center": made["bbox_center"][0], "input_scale": scale[0],
        }  # fmt: skip
        return PoseDataSample(gt_instances=instances, metainfo=information)


def steps_of(processor: Configured) -> Steps:
    """The steps of a processor, built once."""
    found: Steps | None = getattr(processor, "_pose_steps", None)
    if found is None:
        found = Steps(processor)
        processor._pose_steps = found  # type: ignore[attr-defined]
    return found


def corners(boxes: Sequence[Sequence[float]]) -> np.ndarray:
    """Left, top, right and bottom, float32, of shape (boxes, 4)."""
    made = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    made[:, 2:] += made[:, :2]
    return made
