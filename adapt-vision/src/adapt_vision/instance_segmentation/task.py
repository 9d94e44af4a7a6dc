"""The task instance segmentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from PIL import Image

from adapt_core.bundles import Data, Evaluated, Model, Row, Section
from adapt_core.engines.common.inputs import Inputs
from adapt_core.plan.run_plan import RunPlan
from adapt_vision.annotations.card import card
from adapt_vision.annotations.drawing import drawn
from adapt_vision.annotations.files import Part
from adapt_vision.annotations.inputs import AnnotatedRows, Collation
from adapt_vision.annotations.measuring import MaskMeter, mask_table
from adapt_vision.annotations.objects import Wanted
from adapt_vision.annotations.report import found_of, sections
from adapt_vision.annotations.task import AnnotatedImageTask, drawn_folder
from adapt_vision.instance_segmentation.options import InstanceSegmentationOptions, InstanceSegmentationPrediction
from adapt_vision.libraries.loading import segmenters_of


class InstanceSegmentation(AnnotatedImageTask):
    """Masks with classes, with Mask2Former, MaskFormer and RF-DETR of transformers, or with models of MMDet."""

    wanted: ClassVar[Wanted] = "masks"
    part: ClassVar[Part] = "segmentation"
    library: Any

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan, segmenters_of(plan, cast(InstanceSegmentationOptions, plan.task.options).image_size))

    def engine_inputs(self, data: Data, model: Model) -> Inputs:
        """Images and masks as the model's processor makes them, training images changed at random."""
        train, evaluation = data.train, data.evaluation
        made: Inputs = self.library.inputs(
            train=None
            if train is None
            else AnnotatedRows(train, self.reader(train, "training"), self.transform, self.plan.seed),
            evaluation=None if evaluation is None else AnnotatedRows(evaluation, self.reader(evaluation, "evaluation")),
            collate=Collation(partial(self.library.batch, model.processor)),
            meter=partial(MaskMeter, evaluation, data.info["label_names"]),
            step=partial(self.library.call, labels=True),
            evaluation_step=partial(self.library.measured, model.processor),
            items=self.library.items,
        )
        return made

    def sections(self, evaluated: Evaluated, data: Data) -> Sequence[Section]:
        """Average precision by class, and what was found beside what there is."""
        return sections(evaluated.outputs, data.evaluation, data.info["label_names"])

    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``."""
        library, code = self.library.code(info, folder)
        what = "A model for instance segmentation"
        return card(self.plan, info, library, code, tag="image-segmentation", what=what, use=USE)

    # ---- using the model ------------------------------------------------------------------------------------------

    def outputs(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[np.ndarray]:
        """Logits of classes and masks, float32, of shape (queries, classes + height × width) a row."""
        return [self.library.raw(outputs)[0].numpy() for _, (outputs, _) in self.each(model, rows)]

    def predict(
        self, model: Model, rows: Sequence[Row], info: Mapping[str, Any], options: Any
    ) -> Iterable[dict[str, Any]]:
        """Each image with ``objects``, the surest first: COCO's ``category_id``, ``segmentation`` and so on.

        Raises:
            AdaptError: an image cannot be read, or two would be drawn into one file.
        """
        asked = cast(InstanceSegmentationPrediction, options)
        names, ids = info["label_names"], info["category_ids"]
        folder = drawn_folder(asked.drawn, rows)
        for (image, (outputs, inputs)), row in zip(self.each(model, rows), rows, strict=True):
            (found,) = self.library.found(model.processor, outputs, inputs, asked.threshold)
            boxes, masks = mask_table(found, image.size)
            objects = [
                {
                    "category_id": ids[int(each[5])],
                    "label": names[int(each[5])],
                    "score": float(each[4]),
                    "bbox": each[:4].tolist(),
                    "segmentation": {"size": [image.height, image.width], "counts": mask},
                }
                for each, mask in zip(boxes, masks, strict=True)
            ]
            if folder is not None:
                shown = found_of(boxes, names, asked.threshold, masks)
                drawn(image, shown).save(folder / f"{Path(row['image']).stem}.png")
            yield {**row, "objects": objects}

    def infer(self, model: Model, image: Image.Image, row: Row) -> Any:
        """The model's outputs for one image, and what it read."""
        return self.library.infer(model, image)


USE = (
    "It finds objects in the image files that are named behind it (`python segment.py photo.jpg`), and prints class,",
    "score and the number of pixels; `mask` holds the pixels. Images with transparency or 16 bits a channel must be",
    "made into plain RGB first.",
)
