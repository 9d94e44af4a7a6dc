"""Pose estimators of transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional
from transformers import AutoModelForPoseEstimation
from transformers.models.vitpose.image_processing_vitpose import box_to_center_and_scale, get_warp_matrix

from adapt_core.bundles import Model
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer
from adapt_vision.libraries.options import PoseModel
from adapt_vision.libraries.transformers import Transformers
from adapt_vision.pose_detection.heatmaps import heatmap_loss
from adapt_vision.pose_detection.inputs import Sample

UNIT = 200.0
"""Pixels of one unit of a box's scale, in ViTPose's processor."""


class Poses(Transformers):
    """ViTPose and ViTPose+ (Xu et al. 2022, arXiv:2204.12484 and arXiv:2212.04246), of the hub or a local folder."""

    auto_class: ClassVar[Any] = AutoModelForPoseEstimation
    head: ClassVar[frozenset[str]] = frozenset({"head"})

    def settings_for(self, names: Sequence[str]) -> dict[str, Any]:
        settings = super().settings_for(names)
        del settings["problem_type"]  # of classifiers
        return settings

    def names_of(self, info: Mapping[str, Any]) -> Sequence[str]:
        """The keypoints."""
        return cast(Sequence[str], info["keypoints"]["names"])

    def load_processor(self, path: Path | None = None) -> Any:
        processor = super().load_processor(path)
        if not hasattr(processor, "affine_transform"):
            raise AdaptError(
                f"The image processor {type(processor).__name__} is not ViTPose's: it cuts no boxes out of images",
                "Name another one in model.image_processor (image_processor_path).",
            )
        return processor

    def load_model(self, names: Sequence[str], path: Path | None, quantizer: Quantizer | None) -> Model:
        settings = self._settings() if path is None else None
        if settings is not None and settings.model_type != "vitpose":
            raise AdaptError(
                f"{self.options.source} is of the family {settings.model_type}, and pose detection trains ViTPose",
                "Name a model of it, such as usyd-community/vitpose-base-simple.",
            )
        if settings is not None:
            self._require_expert(settings.backbone_config.num_experts)
        model = super().load_model(names, path, quantizer)
        size, asked = model.processor.size, tuple(model.module.config.backbone_config.image_size)
        if (size["height"], size["width"]) != asked:
            raise AdaptError(
                f"The image processor makes crops of {size['height']} × {size['width']} pixels, and the model reads "
                f"{asked[0]} × {asked[1]}",
                "Name another one in model.image_processor (image_processor_path).",
            )
        return model

    def _require_expert(self, experts: int) -> None:
        asked = cast(PoseModel, self.options).dataset_index
        if asked is not None and (experts == 1 or asked >= experts):
            has = f"{experts} experts, 0 to {experts - 1}" if experts > 1 else "no experts: it is no ViTPose+"
            raise AdaptError(
                f"model.dataset_index is {asked}, and {self.options.source} has {has}",
                "Remove the key, or name one that there is.",
            )

    def _sized(self) -> bool:
        return False  # its size is that of its position embeddings

    # ---- crops and heatmaps ---------------------------------------------------------------------------------------

    def crop(
        self, processor: Any, image: Image.Image, box: Sequence[float], rotation: float
    ) -> tuple[Tensor, np.ndarray]:
        """What the processor cuts out of an image for a box, with its padding and its affine transform.

        Args:
            processor: the model's.
            image: in mode ``RGB``.
            box: left, top, width and height in pixels.
            rotation: degrees by which the crop is turned.

        Returns:
            The crop, uint8 of shape (3, height, width), and the matrix of shape (2, 3) that takes a place in the image
            to one in the crop.
        """
        size = processor.size
        center, scale = box_to_center_and_scale(list(box), image_width=size["width"], image_height=size["height"])
        pixels = processor.affine_transform(functional.pil_to_tensor(image), center, scale, rotation, size)
        last = np.array([size["width"] - 1.0, size["height"] - 1.0])
        return pixels, get_warp_matrix(rotation, center * 2.0, last, scale * UNIT)

    def batch(self, processor: Any, samples: Sequence[Sample]) -> dict[str, Any]:
        """What the model reads of crops, and what :meth:`call` compares with.

        Returns:
            ``pixel_values``, float32 of shape (rows, 3, height, width), and the samples' ``points`` and ``annotated``.
        """
        return {
            "pixel_values": self._pixels(processor, [each.pixels for each in samples]),
            "points": torch.stack([each.points for each in samples]),
            "annotated": torch.stack([each.annotated for each in samples]),
        }

    def _pixels(self, processor: Any, crops: Sequence[Tensor]) -> Tensor:
        made = processor(images=list(crops), boxes=None, do_affine_transform=False, return_tensors="pt")
        return cast(Tensor, made["pixel_values"])

    def inputs(self, **given: Any) -> TrainerInputs:
        """What the engine takes."""
        return TrainerInputs(**given)

    def call(self, module: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """``heatmaps`` of a batch, and their ``loss``: ViTPose's class has none."""
        heatmaps = self.heatmaps(module, batch["pixel_values"])
        sigma = cast(Any, self.plan.task.options).sigma
        return {"loss": heatmap_loss(heatmaps, batch["points"], batch["annotated"], sigma), "heatmaps": heatmaps}

    def measured(
        self, processor: Any, module: Any, batch: Mapping[str, Any], boxes: Sequence[Sequence[float]]
    ) -> dict[str, Any]:
        """``loss``, and ``found``, the keypoints in each row of a batch, as :meth:`found` gives them."""
        outputs = self.call(module, batch)
        return {"loss": outputs["loss"], "found": self.found(processor, outputs["heatmaps"], boxes)}

    def infer(self, model: Model, image: Image.Image, boxes: Sequence[Sequence[float]]) -> Tensor:
        """The heatmaps of the boxes in an image."""
        crops = [self.crop(model.processor, image, box, 0.0)[0] for box in boxes]
        pixels = self._pixels(model.processor, crops).to(next(model.module.parameters()).device)
        return self.heatmaps(model.module, pixels)

    def heatmaps(self, module: Any, pixels: Tensor) -> Tensor:
        """The model's heatmaps, of shape (rows, keypoints, height, width)."""
        further = {}
        if self._experts > 1:
            expert = cast(PoseModel, self.options).dataset_index or 0
            further["dataset_index"] = torch.full((len(pixels),), expert, device=pixels.device)
        return cast(Tensor, module(pixel_values=pixels, **further).heatmaps)

    def found(self, processor: Any, outputs: Tensor, boxes: Sequence[Sequence[float]]) -> list[np.ndarray]:
        """What the model's post-processing finds: of each box x, y and score, float64 of shape (keypoints, 3)."""
        found = []
        for each, box in zip(outputs.detach().float().cpu(), boxes, strict=True):
            # One at a time: the processor fails on several objects of a single keypoint.
            ((one,),) = processor.post_process_pose_estimation(SimpleNamespace(heatmaps=each[None]), boxes=[[box]])
            places, scores = one["keypoints"].reshape(-1, 2), one["scores"].reshape(-1, 1)
            found.append(torch.cat([places, scores], -1).double().numpy())
        return found

    def raw(self, outputs: Tensor) -> Tensor:
        """Heatmaps in float32, of shape (boxes, keypoints, height, width)."""
        return outputs.float().cpu()

    @cached_property
    def _experts(self) -> int:
        return int(self._settings().backbone_config.num_experts)

    # ---- without Adapt --------------------------------------------------------------------------------------------

    def use_code(self) -> str:
        """Python code that finds the keypoints of the objects that fill image files."""
        expert = cast(PoseModel, self.options).dataset_index or 0
        return CALL.format(
            further=f", dataset_index=torch.full((len(boxes[0]),), {expert})" if self._experts > 1 else ""
        )


CALL = """
import sys

import torch
from PIL import Image, ImageOps

processor = AutoImageProcessor.from_pretrained(folder)
for path in sys.argv[1:]:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    boxes = [[[0, 0, image.width, image.height]]]  # left, top, width and height of each object in each image
    inputs = processor(images=image, boxes=boxes, return_tensors="pt")
    with torch.inference_mode():
        outputs = model(**inputs{further})
    for found in processor.post_process_pose_estimation(outputs, boxes=boxes)[0]:
        for label, (x, y), score in zip(found["labels"], found["keypoints"], found["scores"].reshape(-1)):
            print(path, labels[int(label)], float(x), float(y), float(score))
"""
