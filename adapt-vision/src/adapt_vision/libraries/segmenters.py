"""Models of transformers that find objects with their masks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForInstanceSegmentation, AutoModelForUniversalSegmentation

from adapt_core.bundles import Model
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.errors import AdaptError
from adapt_core.utils.seeds import derived_seed
from adapt_core.utils.units import listed
from adapt_vision.annotations.masks import encoded
from adapt_vision.annotations.objects import Annotation
from adapt_vision.libraries.counting import counted_here
from adapt_vision.libraries.mask_targets import coco, enlarged, stand_in, targets
from adapt_vision.libraries.transformers import Transformers

MOST = 100
"""So many objects an image are found: COCO counts no more."""

BY_QUERY = ("mask2former", "maskformer")
"""The families that give each query a class and a mask."""

BY_BOX = ("rf_detr",)
"""The families of detectors that give each box a mask."""

Found = dict[str, Any]
"""What was found in an image, the surest first: ``masks``, in COCO's compressed run-length encoding, and ``scores`` and
``labels``, tensors of shape (n,)."""

One = tuple[str, float, int]
"""The mask, the score and the label of one of them."""

OF_OBJECTS = ("class_labels", "boxes", "area", "iscrowd", "masks")
"""What labels hold of each object."""

OF_NAN = ("corner", "invalid numeric")
"""What the losses of transformers say of outputs that are NaN."""


class Segmenters(Transformers):
    """Mask2Former, MaskFormer and RF-DETR with masks, of the hub or a local folder."""

    head: ClassVar[frozenset[str]] = frozenset(
        {"mask_predictor", "class_embed", "bbox_embed", "enc_out_class_embed", "enc_out_bbox_embed"}
    )

    @cached_property
    def auto_class(self) -> Any:
        """The class of transformers that loads the model. Raises AdaptError where none of those known here does."""
        family = self._config.model_type
        if family not in (*BY_QUERY, *BY_BOX):
            known = listed([*BY_QUERY, *BY_BOX])
            raise AdaptError(
                f"{self.options.source} is of the family {family}, and instances are segmented by {known}",
                "Name a model of one of them, such as facebook/mask2former-swin-tiny-coco-instance.",
            )
        return AutoModelForUniversalSegmentation if family == "mask2former" else AutoModelForInstanceSegmentation

    @cached_property
    def by_box(self) -> bool:
        """Whether the model is a detector that gives each box a mask."""
        return self._config.model_type in BY_BOX

    @cached_property
    def _config(self) -> Any:
        return self._settings()

    def settings_for(self, names: Sequence[str]) -> dict[str, Any]:
        settings = super().settings_for(names)
        del settings["problem_type"]  # of classifiers
        return settings

    def load_processor(self, path: Path | None = None) -> Any:
        processor = super().load_processor(path)
        if not hasattr(processor, "post_process_instance_segmentation"):
            raise AdaptError(
                f"The image processor {type(processor).__name__} is not one of segmentation: it makes no masks",
                "Name another one in model.image_processor (image_processor_path).",
            )
        return processor

    def _sized(self) -> bool:
        return False

    # ---- batches --------------------------------------------------------------------------------------------------

    def batch(self, processor: Any, images: Sequence[Image.Image], objects: Sequence[Sequence[Annotation]]) -> Any:
        """What the model reads of images and the objects in them; crowds are left out.

        Returns:
            ``pixel_values`` of shape (rows, 3, height, width), ``pixel_mask`` where the processor pads, and ``sizes``
            of the images, height and width in pixels. The targets are ``mask_labels`` and ``class_labels``, a tensor of
            shape (objects, height, width) and one of shape (objects,) a row, or ``labels`` where masks go by boxes.
        """
        sizes = torch.tensor([(image.height, image.width) for image in images])
        apart = [[each for each in found if not each.crowd] for found in objects]
        if self.by_box:
            annotations = [
                {"image_id": row, "annotations": [coco(each, image) for each in found or [stand_in(image)]]}
                for row, (found, image) in enumerate(zip(apart, images, strict=True))
            ]
            made = processor(
                images=list(images), annotations=annotations, return_segmentation_masks=True, return_tensors="pt"
            )
            labels = [
                {name: value[: len(found)] if name in OF_OBJECTS else value for name, value in each.items()}
                for each, found in zip(made["labels"], apart, strict=True)
            ]
            return {**made, "labels": labels, "sizes": sizes}
        made = dict(processor(images=list(images), return_tensors="pt"))
        canvas = made["pixel_values"].shape[-2:]
        pairs = [targets(processor, image, found, canvas) for image, found in zip(images, apart, strict=True)]
        masks, classes = zip(*pairs, strict=True)
        return {**made, "mask_labels": list(masks), "class_labels": list(classes), "sizes": sizes}

    def call(self, module: Any, batch: Mapping[str, Any], *, labels: bool) -> Any:
        """The model's outputs, with ``loss`` where labels are given.

        Raises:
            AdaptError: the model's outputs are no numbers any more.
        """
        targets = ("labels",) if self.by_box else ("mask_labels", "class_labels")
        names = ["pixel_values", *(["pixel_mask"] if self._padded else []), *(targets if labels else [])]
        try:
            with counted_here():
                outputs = module(**{name: batch[name] for name in names if name in batch})
        except ValueError as error:
            if not (labels and any(part in str(error) for part in OF_NAN)):
                raise
            raise AdaptError(
                "The model's outputs are no numbers any more: training has diverged",
                "Lower training.lr (LR), or limit training.max_grad_norm.",
            ) from error
        if self.by_box and labels and not outputs.loss.numel():  # RF-DETR's loss has no value where there is no mask
            outputs.loss = sum(
                self._config.class_loss_coefficient * value
                for name, value in outputs.loss_dict.items()
                if name == "loss_ce" or (self._config.auxiliary_loss and name.startswith("loss_ce_"))
            )
        return outputs

    def items(self, batch: Mapping[str, Any]) -> int:
        """What the losses are means of: masks; one at least, as the models have it."""
        found = [each["class_labels"] for each in batch["labels"]] if self.by_box else batch["class_labels"]
        return max(sum(map(len, found)), 1)

    def inputs(self, **given: Any) -> TrainerInputs:
        """What the engine takes."""
        return TrainerInputs(**given)

    def measured(self, processor: Any, module: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Loss and what was found. The losses compare masks at points drawn at random: here always at the same ones."""
        device = batch["pixel_values"].device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(derived_seed(self.plan.seed, "evaluation", *batch["rows"].tolist()))
            outputs = self.call(module, batch, labels=True)
        return {"loss": outputs.loss, "found": self.found(processor, outputs, batch, 0.0)}

    def infer(self, model: Model, image: Image.Image) -> Any:
        """The model's outputs for one image, and what it read."""
        inputs = model.processor(images=image, return_tensors="pt").to(next(model.module.parameters()).device)
        outputs = self.call(model.module, inputs, labels=False)
        return outputs, {**inputs, "sizes": torch.tensor([(image.height, image.width)])}

    def found(self, processor: Any, outputs: Any, batch: Mapping[str, Any], threshold: float) -> list[Found]:
        """What the model's post-processing finds above a score.

        Args:
            processor: the model's.
            outputs: of the model.
            batch: that it read, with ``sizes``.
            threshold: scores from which on objects count.
        """
        return [
            self._found(processor, self._row(outputs, batch, row), tuple(size), threshold)
            for row, size in enumerate(batch["sizes"].tolist())
        ]

    def _found(self, processor: Any, outputs: Any, size: tuple[int, int], threshold: float) -> Found:
        # Masks are enlarged one by one: all the queries' masks of one large photograph would take gigabytes.
        by_one = self._of_boxes if self.by_box else self._of_queries
        kept = list(by_one(processor, outputs, size, threshold))
        masks, scores, labels = zip(*kept, strict=True) if kept else ((), (), ())
        return {
            "masks": list(masks),
            "scores": torch.tensor(scores, dtype=torch.float32),
            "labels": torch.tensor(labels, dtype=torch.int64),
        }

    def _of_queries(self, processor: Any, outputs: Any, size: tuple[int, int], threshold: float) -> Iterator[One]:
        """Masks of the processor's own size, enlarged."""
        (made,) = processor.post_process_instance_segmentation(outputs, threshold=threshold, return_binary_maps=True)
        told = made["segments_info"]
        for place in np.argsort([-each["score"] for each in told], kind="stable")[:MOST]:
            mask = enlarged(made["segmentation"][place], size)
            if mask.any():
                yield encoded(mask), told[place]["score"], told[place]["label_id"]

    def _of_boxes(self, processor: Any, outputs: Any, size: tuple[int, int], threshold: float) -> Iterator[One]:
        """Masks of the image's size, as the processor makes them of the surest pairs of a query and a class.

        It enlarges what it is given at once, so it is given one pair at a time, as outputs of one query and one class.
        """
        (logits,), (masks,) = outputs.logits, outputs.pred_masks
        scores = logits.sigmoid().flatten()
        for place in scores.topk(min(len(logits), MOST)).indices.tolist():
            query, label = divmod(place, logits.shape[1])
            alone = SimpleNamespace(logits=logits[query, label][None, None, None], pred_masks=masks[query][None, None])
            (made,) = processor.post_process_instance_segmentation(
                alone, threshold=threshold, target_sizes=[size], return_binary_maps=True
            )
            for mask, told in zip(made["segmentation"], made["segments_info"], strict=True):  # none where it is empty
                yield encoded(mask.cpu().numpy()), told["score"], label

    def _row(self, outputs: Any, batch: Mapping[str, Any], row: int) -> Any:
        """The outputs of one row, as if it had been alone: its masks without what was padded."""
        logits, masks = ("logits", "pred_masks") if self.by_box else ("class_queries_logits", "masks_queries_logits")
        values = getattr(outputs, masks)[row : row + 1].float()
        padding = batch.get("pixel_mask")
        if padding is not None and not bool(padding[row].all()):
            canvas = padding.shape[-2:]
            height, width = int(padding[row, :, 0].sum()), int(padding[row, 0].sum())
            if any(part * to % of for part, to, of in zip((height, width), values.shape[-2:], canvas, strict=True)):
                values = functional.interpolate(values, size=tuple(canvas), mode="bilinear", align_corners=False)
            scale = values.shape[-2] / canvas[0], values.shape[-1] / canvas[1]
            values = values[..., : round(height * scale[0]), : round(width * scale[1])]
        return SimpleNamespace(**{logits: getattr(outputs, logits)[row : row + 1].float(), masks: values})

    def raw(self, outputs: Any) -> Tensor:
        """Logits of classes and masks of every query, float32, of shape (rows, queries, classes + height × width)."""
        logits, masks = ("logits", "pred_masks") if self.by_box else ("class_queries_logits", "masks_queries_logits")
        return torch.cat([getattr(outputs, logits), getattr(outputs, masks).flatten(2)], -1).float().cpu()

    @cached_property
    def _padded(self) -> bool:
        """Whether the model reads a mask of what is padding."""
        kind = self.auto_class._model_mapping[type(self._config)]
        return "pixel_mask" in inspect.signature(kind.forward).parameters

    # ---- without Adapt --------------------------------------------------------------------------------------------

    def use_code(self) -> str:
        return CALL


CALL = """
import sys

import torch
from PIL import Image, ImageOps

processor = AutoImageProcessor.from_pretrained(folder)
for path in sys.argv[1:]:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    inputs = processor(images=image, return_tensors="pt")
    with torch.inference_mode():
        outputs = model(**inputs)
    sizes = [(image.height, image.width)]
    found = processor.post_process_instance_segmentation(
        outputs, threshold=0.5, target_sizes=sizes, return_binary_maps=True
    )[0]
    for each, mask in zip(found["segments_info"], found["segmentation"]):  # mask: of the image's height and width
        print(path, labels[each["label_id"]], each["score"], int(mask.sum()))
"""
