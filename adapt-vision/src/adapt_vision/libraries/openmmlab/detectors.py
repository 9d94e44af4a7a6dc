"""Detectors of MMDet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.config import ConfigDict
from PIL import Image
from torch import Tensor, nn

from adapt_core.bundles import Model
from adapt_vision.annotations.objects import Annotation
from adapt_vision.libraries.openmmlab.card import detector_code
from adapt_vision.libraries.openmmlab.library import OpenMMLab, flattened, plain
from adapt_vision.libraries.openmmlab.processor import Configured, read_image

Found = dict[str, Tensor]
"""What was found in an image: ``boxes`` of shape (n, 4), corners in pixels, ``scores`` and ``labels`` of shape (n,)."""

GRID = (0.0, 0.5)
"""Where boxes begin that the second stage of a detector is asked about, as parts of the image."""


class Detectors(OpenMMLab):
    """Any detector of MMDet that is trained on boxes and classes."""

    package: ClassVar[str] = "mmdet"

    def _import(self) -> None:
        import mmdet.datasets
        import mmdet.models  # noqa: F401

    def build(self, model: ConfigDict) -> nn.Module:
        from mmdet.registry import MODELS

        module: nn.Module = MODELS.build(model)
        return module

    def dataset(self, names: Sequence[str], steps: Sequence[ConfigDict]) -> dict[str, Any]:
        return {
            "type": "CocoDataset",
            "metainfo": self.meta(names)["dataset_meta"],
            "ann_file": "",
            "pipeline": list(steps),
            "test_mode": True,
        }

    def meta(self, names: Sequence[str]) -> dict[str, Any]:
        palette = [tuple(int(37 * (place + 1) * part % 256) for part in (1, 3, 7)) for place in range(len(names))]
        return {"dataset_meta": {"classes": tuple(names), "palette": palette}}

    # ---- batches --------------------------------------------------------------------------------------------------

    def batch(
        self, processor: Configured, images: Sequence[Image.Image], objects: Sequence[Sequence[Annotation]]
    ) -> dict[str, Any]:
        """What the model reads of images and the objects in them.

        Returns:
            ``inputs``, a uint8 tensor of shape (3, height, width) a row, and ``data_samples``, MMDet's, with the
            objects; crowds are among those to ignore.
        """
        made = [
            processor.prepared(read_image(image) | self._objects(image, found))
            for image, found in zip(images, objects, strict=True)
        ]
        return {name: [each[name] for each in made] for name in ("inputs", "data_samples")}

    def _objects(self, image: Image.Image, objects: Sequence[Annotation]) -> dict[str, Any]:
        from mmdet.structures.bbox import HorizontalBoxes

        corners = np.array([each.box for each in objects], dtype=np.float32).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        return {
            "gt_bboxes": HorizontalBoxes(corners, dtype=torch.float32),
            "gt_bboxes_labels": np.array([each.category for each in objects], dtype=np.int64),
            "gt_ignore_flags": np.array([each.crowd for each in objects], dtype=bool),
        }

    def call(self, module: Any, batch: Mapping[str, Any], *, labels: bool = True) -> dict[str, Any]:
        """``loss``, the sum of the model's losses."""
        own = plain(module)
        data = own.data_preprocessor({name: batch[name] for name in ("inputs", "data_samples")}, True)
        losses = module(**data, mode="loss")
        return {"loss": own.parse_losses(losses)[0]}

    def measured(self, processor: Configured, module: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """``found``, what the model finds in each image of a batch. The loss costs a second pass and is left out."""
        data = plain(module).data_preprocessor({name: batch[name] for name in ("inputs", "data_samples")}, False)
        return {"found": [self._found(each) for each in module(**data, mode="predict")]}

    def infer(self, model: Model, image: Image.Image) -> tuple[Any, dict[str, Any]]:
        """The module and what it reads of one image."""
        data = self.batch(model.processor, [image], [[]])
        return model.module, plain(model.module).data_preprocessor(data, False)

    def found(
        self, processor: Configured, outputs: Any, sizes: Sequence[tuple[int, int]], threshold: float
    ) -> list[Found]:
        """What the model finds above a score in what :meth:`infer` gave."""
        module, data = outputs
        made = [self._found(each) for each in module(**data, mode="predict")]
        return [_above(each, threshold) for each in made]

    def _found(self, sample: Any) -> Found:
        instances = sample.pred_instances
        return {
            "boxes": instances.bboxes.detach().float().cpu().reshape(-1, 4),
            "scores": instances.scores.detach().float().cpu(),
            "labels": instances.labels.detach().cpu(),
        }

    def raw(self, outputs: Any) -> Tensor:
        """What the layers give for one image before boxes are chosen, float32 of shape (1, numbers)."""
        module, data = outputs
        own = plain(module)
        if not hasattr(own, "roi_head"):
            return flattened(module(**data, mode="tensor"))[None]
        features = own.extract_feat(data["inputs"])
        first = own.rpn_head(features) if own.with_rpn else ()
        height, width = data["inputs"].shape[-2:]
        corners = [(left * width, top * height) for left in GRID for top in GRID]
        boxes = torch.tensor([(x, y, x + width / 2, y + height / 2) for x, y in corners], device=features[0].device)
        return flattened([features, first, _second_stage(own, features, boxes, data["data_samples"])])[None]

    # ---- without Adapt --------------------------------------------------------------------------------------------

    def code(self, info: Mapping[str, Any], folder: Path) -> tuple[str, str]:
        """The library that loads a saved folder, and code that does so without Adapt."""
        return detector_code(self.plan, self._weights_file, folder)


def _second_stage(own: Any, features: Any, boxes: Tensor, samples: Any) -> Any:
    """What the second stage says of given boxes: those that the first finds change with the last bits of its scores."""
    from mmengine.structures import InstanceData

    return own.roi_head.forward(features, [InstanceData(bboxes=boxes)], samples)


def _above(found: Mapping[str, Any], threshold: float) -> Any:
    kept = found["scores"] >= threshold
    places = kept.nonzero().flatten().tolist()
    return {
        name: each[kept] if isinstance(each, Tensor) else [each[place] for place in places]
        for name, each in found.items()
    }
