"""Top-down pose estimators of MMPose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from mmengine.config import ConfigDict
from PIL import Image
from torch import Tensor, nn

from adapt_core.bundles import Model
from adapt_core.errors import UsageError
from adapt_core.plan.run_plan import RunPlan
from adapt_vision.libraries.openmmlab.card import pose_code
from adapt_vision.libraries.openmmlab.configuration import mappings
from adapt_vision.libraries.openmmlab.files import KEYPOINTS
from adapt_vision.libraries.openmmlab.library import OpenMMLab, flattened, plain
from adapt_vision.libraries.openmmlab.pose_steps import CUTTING, corners, steps_of
from adapt_vision.libraries.openmmlab.processor import Configured, bare
from adapt_vision.pose_detection.inputs import Sample

BY_KEYPOINTS = ("out_channels", "num_joints", "num_keypoints")
"""What heads call the number of keypoints."""

OUTSIDE = {
    "MSPNHead": "learns from heatmaps of several widths at once, for which head.decoder has one codec",
    "InternetHead": "finds the keypoints of two hands in three dimensions",
}
"""Heads of top-down models that are none of the task's."""

CORNERS = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]], dtype=np.float32)
"""Places whose images say what an affine transform is."""


@dataclass(frozen=True)
class Answer:
    """What a model says of the boxes of an image.

    Attributes:
        raw: the outputs of the head, float32, of shape (boxes, numbers).
        keypoints: of each box x, y and score, float64 of shape (keypoints, 3).
    """

    raw: Tensor
    keypoints: list[np.ndarray]


class Poses(OpenMMLab):
    """Any model of MMPose that finds the keypoints of one object in the crop of its box."""

    package: ClassVar[str] = "mmpose"
    images: ClassVar[str] = "pixel_values"

    def __init__(self, plan: RunPlan, image_size: int | None) -> None:
        super().__init__(plan, image_size)
        if getattr(plan.task.options, "sigma", None) is not None:
            raise UsageError(
                "task.sigma is for transformers' models, and those of MMPose have it in their configuration.",
                "Set it in model.cfg_options: {model.head.decoder.sigma: 2}.",
            )

    def _import(self) -> None:
        import mmpose.codecs
        import mmpose.datasets
        import mmpose.models  # noqa: F401

    def build(self, model: ConfigDict) -> nn.Module:
        from mmpose.models import build_pose_estimator

        module: nn.Module = build_pose_estimator(model)
        return module

    def why_not(self, model: ConfigDict) -> str | None:
        if model.get("type") != "TopdownPoseEstimator":
            return "finds poses in another way than in the boxes of objects"
        head = model.get("head", {})
        if not isinstance(head.get("decoder"), dict):
            return "has no codec of its own in head.decoder, which makes keypoints into targets"
        return OUTSIDE.get(str(head.get("type")))

    def read_steps(self, steps: Sequence[ConfigDict]) -> Any:
        """The steps that cut a crop out: how it is read and packed is Adapt's own."""
        return [each for each in steps if bare(each["type"]) in CUTTING]

    def size(self, model: ConfigDict, number: int) -> None:
        """Has a configuration make a head for so many keypoints, in place."""
        head = model["head"]
        before = next((head[key] for key in BY_KEYPOINTS if isinstance(head.get(key), int)), None)
        parts = [head, *([model["backbone"]] if model["backbone"].get("type") == "CPM" else [])]
        for part in parts:
            for each in mappings(part):
                for key in BY_KEYPOINTS:
                    if each.get(key) == before:
                        each[key] = number
                if number != before and isinstance(each.get("mask"), list):
                    each["mask"] = None  # RTMW's loss weighs some of its own keypoints, by number
        model["test_cfg"] = {**(model.get("test_cfg") or {}), "flip_test": False}

    def dataset(self, names: Sequence[str], steps: Sequence[ConfigDict]) -> dict[str, Any]:
        keypoints = {
            place: {"name": name, "id": place, "color": [255, 128, 0], "type": "", "swap": ""}
            for place, name in enumerate(names)
        }
        metainfo = {
            "dataset_name": "data",
            "keypoint_info": keypoints,
            "skeleton_info": {},
            "joint_weights": [1.0] * len(names),
            "sigmas": [0.05] * len(names),
        }
        return {
            "type": "CocoDataset", "metainfo": metainfo, "ann_file": "", "data_mode": "topdown",
            "pipeline": list(steps), "test_mode": True,
        }  # fmt: skip

    def meta(self, names: Sequence[str]) -> dict[str, Any]:
        return {KEYPOINTS: tuple(names)}

    # ---- crops ----------------------------------------------------------------------------------------------------

    def crop(
        self, processor: Configured, image: Image.Image, box: Sequence[float], rotation: float
    ) -> tuple[Tensor, np.ndarray]:
        """What the configuration's steps cut out of an image for a box.

        Args:
            processor: the model's.
            image: in mode ``RGB``.
            box: left, top, width and height in pixels.
            rotation: degrees by which the crop is turned.

        Returns:
            The crop, uint8 of shape (3, height, width), and the matrix of shape (2, 3) that takes a place in the image
            to one in the crop.
        """
        steps = steps_of(processor)
        results = steps.centre({"bbox": corners([box])}) | {
            "img": np.asarray(image),
            "bbox_rotation": np.array([rotation], dtype=np.float32),
            "keypoints": CORNERS.copy(),
        }
        made = steps.affine(results)
        origin, right, down = made["transformed_keypoints"][0].astype(np.float64)
        matrix = np.column_stack([right - origin, down - origin, origin])
        return torch.from_numpy(np.ascontiguousarray(made["img"].transpose(2, 0, 1))), matrix

    def names_of(self, info: Mapping[str, Any]) -> Sequence[str]:
        """The keypoints."""
        return cast(Sequence[str], info["keypoints"]["names"])

    def batch(self, processor: Configured, samples: Sequence[Sample]) -> dict[str, Any]:
        """What the model reads of crops.

        Returns:
            ``pixel_values``, uint8 of shape (rows, 3, height, width) in blue, green and red, and ``data_samples``,
            MMPose's, with the targets that the model's codec makes of keypoints.
        """
        pixels = _pixels([each.pixels for each in samples])
        last = torch.tensor([pixels.shape[3] - 1, pixels.shape[2] - 1])
        steps = steps_of(processor)
        targets = [
            steps.labelled((each.points * last)[None].numpy(), each.annotated[None].float().numpy()) for each in samples
        ]
        return {"pixel_values": pixels, "data_samples": targets}

    # ---- training -------------------------------------------------------------------------------------------------

    def call(self, module: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """``loss``, the sum of the model's losses."""
        own = plain(module)
        given = {"inputs": list(batch["pixel_values"]), "data_samples": batch["data_samples"]}
        losses = module(**own.data_preprocessor(given, True), mode="loss")
        return {"loss": own.parse_losses(losses)[0]}

    def measured(
        self, processor: Configured, module: Any, batch: Mapping[str, Any], boxes: Sequence[Sequence[float]]
    ) -> dict[str, Any]:
        """``found``, the keypoints in each box. The loss costs a second pass and is left out."""
        return {"found": self._keypoints(processor, module, batch["pixel_values"], boxes)}

    def infer(self, model: Model, image: Image.Image, boxes: Sequence[Sequence[float]]) -> Answer:
        """What the model says of the boxes in an image."""
        crops = [self.crop(model.processor, image, box, 0.0)[0] for box in boxes]
        pixels = _pixels(crops).to(next(model.module.parameters()).device)
        found = self._keypoints(model.processor, model.module, pixels, boxes)
        own = plain(model.module)
        samples = [steps_of(model.processor).asked(box) for box in boxes]
        data = own.data_preprocessor({"inputs": list(pixels), "data_samples": samples}, False)
        outputs = model.module(**data, mode="tensor")
        rows = [flattened(_row(outputs, row)) for row in range(len(pixels))]
        return Answer(torch.stack(rows), found)

    def found(self, processor: Configured, outputs: Answer, boxes: Sequence[Any]) -> list[np.ndarray]:
        """The keypoints in what :meth:`infer` gave: of each box x, y and score, float64 of shape (keypoints, 3)."""
        return outputs.keypoints

    def raw(self, outputs: Answer) -> Tensor:
        """The head's outputs, float32, a row a box."""
        return outputs.raw

    def _keypoints(
        self, processor: Configured, module: Any, pixels: Tensor, boxes: Sequence[Sequence[float]]
    ) -> list[np.ndarray]:
        samples = [steps_of(processor).asked(box) for box in boxes]
        own = plain(module)
        data = own.data_preprocessor({"inputs": list(pixels), "data_samples": samples}, False)
        found = []
        for each in module(**data, mode="predict"):
            places, scores = each.pred_instances.keypoints[0], each.pred_instances.keypoint_scores[0]
            found.append(np.column_stack([np.asarray(places), np.asarray(scores)]).astype(np.float64))
        return found

    # ---- without Adapt --------------------------------------------------------------------------------------------

    def code(self, info: Mapping[str, Any], folder: Path) -> tuple[str, str]:
        """The library that loads a saved folder, and code that does so without Adapt."""
        return pose_code(self.plan, self._weights_file, folder)


def _pixels(crops: Sequence[Tensor]) -> Tensor:
    """Crops as the library's own reading gives them: uint8 of shape (rows, 3, height, width)."""
    return torch.stack(list(crops)).flip(1)


def _row(outputs: Any, row: int) -> Any:
    """The outputs of one row of a batch."""
    return list(_rows(outputs, row))


def _rows(outputs: Any, row: int) -> Iterator[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs[row]
    else:
        for each in outputs:
            yield from _rows(each, row)
