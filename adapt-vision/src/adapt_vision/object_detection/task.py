"""The task object detection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from adapt_core.bundles import Data, Evaluated, Model, Row, Section
from adapt_core.engines.common.inputs import Inputs
from adapt_core.plan.run_plan import RunPlan
from adapt_vision.annotations.card import card
from adapt_vision.annotations.drawing import drawn
from adapt_vision.annotations.inputs import AnnotatedRows, Collation
from adapt_vision.annotations.measuring import DetectionMeter, table
from adapt_vision.annotations.report import found_of, sections
from adapt_vision.annotations.task import AnnotatedImageTask, drawn_folder
from adapt_vision.libraries.loading import detectors_of
from adapt_vision.object_detection.options import ObjectDetectionOptions, ObjectDetectionPrediction


class ObjectDetection(AnnotatedImageTask):
    """Boxes with classes, with any object detector of transformers or MMDet."""

    library: Any

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan, detectors_of(plan, cast(ObjectDetectionOptions, plan.task.options).image_size))

    def engine_inputs(self, data: Data, model: Model) -> Inputs:
        """Images and objects as the model's processor makes them, training images changed at random."""
        train, evaluation = data.train, data.evaluation
        made: Inputs = self.library.inputs(
            train=None
            if train is None
            else AnnotatedRows(train, self.reader(train, "training"), self.transform, self.plan.seed),
            evaluation=None if evaluation is None else AnnotatedRows(evaluation, self.reader(evaluation, "evaluation")),
            collate=Collation(partial(self.library.batch, model.processor)),
            meter=partial(DetectionMeter, evaluation, data.info["label_names"]),
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
        return card(self.plan, info, library, code, tag="object-detection", what="An object detector", use=USE)

    # ---- using the model ------------------------------------------------------------------------------------------

    def outputs(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[np.ndarray]:
        """Logits and boxes, float32, of shape (queries, classes + 4) a row."""
        return [self.library.raw(outputs)[0].numpy() for _, outputs in self.each(model, rows)]

    def predict(
        self, model: Model, rows: Sequence[Row], info: Mapping[str, Any], options: Any
    ) -> Iterable[dict[str, Any]]:
        """Each image with ``objects``, the surest first: COCO's ``category_id``, ``bbox`` and ``score``, and ``label``.

        Raises:
            AdaptError: an image cannot be read, or two would be drawn into one file.
        """
        asked = cast(ObjectDetectionPrediction, options)
        names, ids = info["label_names"], info["category_ids"]
        folder = drawn_folder(asked.drawn, rows)
        for (image, outputs), row in zip(self.each(model, rows), rows, strict=True):
            (found,) = self.library.found(model.processor, outputs, [(image.height, image.width)], asked.threshold)
            boxes = table(found)
            objects = [
                {
                    "category_id": ids[int(each[5])],
                    "label": names[int(each[5])],
                    "score": float(each[4]),
                    "bbox": each[:4].tolist(),
                }
                for each in boxes
            ]
            if folder is not None:
                shown = found_of(boxes, names, asked.threshold)
                drawn(image, shown).save(folder / f"{Path(row['image']).stem}.png")
            yield {**row, "objects": objects}

    def infer(self, model: Model, image: Image.Image, row: Row) -> Any:
        """The model's outputs for one image."""
        return self.library.infer(model, image)


USE = (
    "It finds objects in the image files that are named behind it (`python detect.py photo.jpg`), and prints",
    "class, score, left, top, width and height in pixels. Images with transparency or 16 bits a channel must",
    "be made into plain RGB first.",
)
