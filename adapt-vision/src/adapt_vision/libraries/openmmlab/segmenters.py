"""Models of MMDet that find objects with their masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from adapt_core.bundles import Model
from adapt_core.errors import AdaptError
from adapt_vision.annotations.masks import decoded, encoded
from adapt_vision.annotations.objects import Annotation
from adapt_vision.libraries.openmmlab.card import segmenter_code
from adapt_vision.libraries.openmmlab.detectors import Detectors
from adapt_vision.libraries.openmmlab.library import plain


class Segmenters(Detectors):
    """Any model of MMDet that is trained on masks: RTMDet-Ins, Mask R-CNN, Mask2Former, …."""

    def load_model(self, names: Sequence[str], path: Path | None, quantizer: Any) -> Model:
        """As for detectors. Raises AdaptError for a model that finds boxes alone."""
        model = super().load_model(names, path, quantizer)
        head = str(plain(model.module).bbox_head.__class__.__name__ if hasattr(model.module, "bbox_head") else "")
        if not (model.module.with_mask or hasattr(model.module, "panoptic_head") or _makes_masks(head)):
            raise AdaptError(
                f"{self.options.source} is a {type(model.module).__name__} that finds boxes, and no masks",
                "Name the configuration of one that does, such as rtmdet-ins_tiny_8xb32-300e_coco, or choose the task "
                "object_detection.",
            )
        return model

    def _objects(self, image: Image.Image, objects: Sequence[Annotation]) -> dict[str, Any]:
        from mmdet.structures.mask import BitmapMasks

        masks = [decoded(str(each.mask), image.size).astype(np.uint8) for each in objects]
        return super()._objects(image, objects) | {"gt_masks": BitmapMasks(masks, image.height, image.width)}

    def infer(self, model: Model, image: Image.Image) -> Any:
        """The module and what it reads of one image."""
        return super().infer(model, image), None

    def _found(self, sample: Any) -> dict[str, Any]:
        """``masks`` in COCO's compressed run-length encoding, ``scores`` and ``labels``; empty masks are left out."""
        instances = sample.pred_instances
        masks = instances.masks.detach().cpu().numpy()
        kept = (
            torch.from_numpy(masks.reshape(len(masks), -1).any(1)) if len(masks) else torch.zeros(0, dtype=torch.bool)
        )
        return {
            "masks": [encoded(masks[place]) for place in kept.nonzero().flatten().tolist()],
            "scores": instances.scores.detach().float().cpu()[kept],
            "labels": instances.labels.detach().cpu()[kept],
        }

    def code(self, info: Mapping[str, Any], folder: Path) -> tuple[str, str]:
        """The library that loads a saved folder, and code that does so without Adapt."""
        return segmenter_code(self.plan, self._weights_file, folder)


def _makes_masks(head: str) -> bool:
    """Whether the single head of a detector makes masks, too."""
    return "Ins" in head or head in ("CondInstBboxHead", "BoxInstBboxHead", "YOLACTHead")
