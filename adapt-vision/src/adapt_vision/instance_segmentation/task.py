"""The task instance segmentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from PIL import Image

from adapt_core.bundles import Data, Evaluated, Model, Row, Section
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.plan.run_plan import RunPlan
from adapt_core.utils.seeds import derived_seed
from adapt_vision.annotations.card import card
from adapt_vision.annotations.drawing import drawn
from adapt_vision.annotations.inputs import AnnotatedRows, Collation
from adapt_vision.annotations.measuring import MaskMeter, mask_table
from adapt_vision.annotations.objects import Wanted
from adapt_vision.annotations.report import found_of, sections
from adapt_vision.annotations.task import AnnotatedImageTask, drawn_folder
from adapt_vision.instance_segmentation.options import InstanceSegmentationOptions, InstanceSegmentationPrediction
from adapt_vision.libraries.segmenters import Segmenters


class InstanceSegmentation(AnnotatedImageTask):
    """Masks with classes, with Mask2Former, MaskFormer and RF-DETR of transformers."""

    wanted: ClassVar[Wanted] = "masks"
    library: Segmenters

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan, Segmenters(plan, cast(InstanceSegmentationOptions, plan.task.options).image_size))

    def engine_inputs(self, data: Data, model: Model) -> TrainerInputs:
        """Images and masks as the model's processor makes them, training images changed at random."""
        train, evaluation = data.train, data.evaluation
        return TrainerInputs(
            train=None if train is None else AnnotatedRows(train, self.reader(train), self.transform, self.plan.seed),
            evaluation=None if evaluation is None else AnnotatedRows(evaluation, self.reader(evaluation)),
            collate=Collation(partial(self.library.batch, model.processor)),
            meter=partial(MaskMeter, evaluation, data.info["label_names"]),
            step=partial(self.library.call, labels=True),
            evaluation_step=partial(self._evaluation_step, model.processor),
            items=self.library.count,
        )

    def _evaluation_step(self, processor: Any, module: Any, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """Loss and what was found. The losses compare masks at points drawn at random: here always at the same ones."""
        device = batch["pixel_values"].device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(derived_seed(self.plan.seed, "evaluation", *batch["rows"].tolist()))
            outputs = self.library.call(module, batch, labels=True)
        return {"loss": outputs.loss, "found": self.library.found(processor, outputs, batch, 0.0)}

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
        inputs = model.processor(images=image, return_tensors="pt").to(next(model.module.parameters()).device)
        outputs = self.library.call(model.module, inputs, labels=False)
        return outputs, {**inputs, "sizes": torch.tensor([(image.height, image.width)])}


USE = (
    "It finds objects in the image files that are named behind it (`python segment.py photo.jpg`), and prints class,",
    "score and the number of pixels; `mask` holds the pixels. Images with transparency or 16 bits a channel must be",
    "made into plain RGB first.",
)
