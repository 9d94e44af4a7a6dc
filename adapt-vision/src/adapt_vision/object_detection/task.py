"""The task object detection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image

from adapt_core.bundles import Data, Evaluated, Inspected, Model, Row, Section
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer, Task
from adapt_core.plan.run_plan import RunPlan
from adapt_core.utils.majority import REMEDY
from adapt_vision.annotations.augmentation import augmented, transform_for
from adapt_vision.annotations.drawing import drawn
from adapt_vision.annotations.measuring import DetectionMeter, table
from adapt_vision.annotations.objects import AnnotatedImages, Annotation
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.rows import load_other_rows, load_rows
from adapt_vision.data.cache import ImageReader
from adapt_vision.data.decoding import FAULTS, decode
from adapt_vision.data.files import images_at
from adapt_vision.libraries.detectors import Detectors, raw
from adapt_vision.object_detection.card import card
from adapt_vision.object_detection.inputs import Collation, DetectionRows
from adapt_vision.object_detection.options import ObjectDetectionOptions, ObjectDetectionPrediction
from adapt_vision.object_detection.report import found_of, inspected, sections

PROBE_ROWS = 4
NOTHING = 0.01
"""A model with a lower AP50 has found nothing."""


class ObjectDetection(Task):
    """Boxes with classes, with any object detector of transformers."""

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan)
        self.options = cast(ObjectDetectionOptions, plan.task.options)
        self.dataset = cast(AnnotatedImageOptions, plan.dataset)
        self.library = Detectors(plan, self.options.image_size)
        self._names: list[str] = []  # known once a model is loaded

    # ---- data and model -------------------------------------------------------------------------------------------

    def load_data(self) -> Data:
        """The training and evaluation rows, every image of them decoded once."""
        return Data(*load_rows(self.dataset, self.plan.seed, evaluate=self.plan.training.do_eval))

    def load_split(self, source: str | None, split: str | None, info: Mapping[str, Any]) -> Data:
        """Rows to evaluate a finished run on, with the classes that it was trained on."""
        rows, name = load_other_rows(self.dataset, source, split, info, self.plan.seed)
        return Data(None, rows, {**info, "evaluation": name})

    def load_processor(self, info: Mapping[str, Any], path: Path | None = None) -> Any:
        """The model's image processor."""
        return self.library.load_processor(path)

    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """The detector, its heads sized for the classes of the data.

        Raises:
            AdaptError: the model cannot be loaded, or its head knows other classes and is not trained.
        """
        names = self._names = list(info["label_names"])
        model = self.library.load_model(names, path, quantizer)
        if path is None:
            self.library.require_names(
                model, names, "Train the head, or give the data's categories the model's names, in its order."
            )
        return model

    def save_model(self, model: Model, folder: Path) -> None:
        """As ``save_pretrained`` does, with the processor."""
        self.library.save_model(model, folder, self._names)

    def engine_inputs(self, data: Data, model: Model) -> TrainerInputs:
        """Images and objects as the model's processor makes them, training images changed at random."""
        collate = Collation(partial(self.library.batch, model.processor))
        train, evaluation = data.train, data.evaluation
        transform = transform_for(self.options.augmentation)
        return TrainerInputs(
            train=None if train is None else DetectionRows(train, self._reader(train), transform, self.plan.seed),
            evaluation=None if evaluation is None else DetectionRows(evaluation, self._reader(evaluation)),
            collate=collate,
            meter=partial(DetectionMeter, evaluation, data.info["label_names"]),
            step=partial(self.library.call, labels=True),
            evaluation_step=partial(self._evaluation_step, model.processor),
            items=_boxes_in,
        )

    def _reader(self, rows: AnnotatedImages) -> ImageReader:
        sizes = [each.size for each in rows.found]
        return ImageReader(rows.images, rows.images, sizes, cached=self.dataset.cache == "auto")

    def _evaluation_step(self, processor: Any, module: Any, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        outputs = self.library.call(module, batch, labels=True)
        sizes = [tuple(each["orig_size"].tolist()) for each in batch["labels"]]
        return {"loss": outputs.loss, "found": self.library.found(processor, outputs, sizes, 0.0)}

    # ---- what a person sees ---------------------------------------------------------------------------------------

    def preview(self, data: Data) -> Sequence[Section]:
        """How many objects of each class the training images have, and how many have none."""
        counts = sorted(data.info["labels"].items(), key=lambda pair: -pair[1])
        empty = sum(not objects for objects in data.train.objects)
        crowds = sum(each.crowd for objects in data.train.objects for each in objects)
        told = [["images", len(data.train)], ["images without objects", empty], ["crowds", crowds]]
        return [
            Section("Training objects by class", "table", ["class", "objects"], [list(pair) for pair in counts]),
            Section("Training images", "table", ["what", "number"], told),
        ]

    def sections(self, evaluated: Evaluated, data: Data) -> Sequence[Section]:
        """Average precision by class, and what was found beside what there is."""
        return sections(evaluated.outputs, data.evaluation, data.info["label_names"])

    def notices(self, evaluated: Evaluated, data: Data) -> Sequence[str]:
        """That the model finds nothing, where it does not."""
        precision = evaluated.metrics["ap50"]
        if precision >= NOTHING:
            return ()
        return (f"The model finds next to nothing: AP at an IoU of 0.5 is {precision:.4f}. {REMEDY}",)

    def inspect(self, data: Data, processor: Any, examples: int) -> Sequence[Inspected]:
        """Images of every split with their objects, training images changed at random as in the first epoch."""
        names = data.info["label_names"]
        transform = transform_for(self.options.augmentation)
        return [
            inspected(split, rows, names, partial(self._seen, random), examples)
            for split, rows, random in (("train", data.train, transform), ("validation", data.evaluation, None))
            if rows is not None
        ]

    def _seen(self, transform: Any, rows: AnnotatedImages, row: int) -> tuple[Image.Image, Sequence[Annotation]]:
        image, objects = decode(rows.images[row]), list(rows.objects[row])
        return (image, objects) if transform is None else augmented(transform, image, objects, self.plan.seed, 0, row)

    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``."""
        return card(self.plan, self.library, info, folder)

    # ---- using the model ------------------------------------------------------------------------------------------

    def probe_rows(self, data: Data) -> Sequence[Row]:
        """The first evaluation rows, or training rows where there are none."""
        rows = data.evaluation if data.evaluation is not None else data.train
        return [rows[index] for index in range(min(PROBE_ROWS, len(rows)))]

    def outputs(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[np.ndarray]:
        """Logits and boxes, float32, of shape (queries, classes + 4) a row."""
        return [raw(outputs)[0].numpy() for _, outputs in self._outputs(model, rows)]

    def parse_inputs(self, inputs: Sequence[str], file: Path | None, info: Mapping[str, Any]) -> Sequence[Row]:
        """Rows with ``image``, a path: of files and of what folders hold."""
        return [{"image": path} for path in images_at([*inputs, *([str(file)] if file is not None else [])])]

    def predict(
        self, model: Model, rows: Sequence[Row], info: Mapping[str, Any], options: Any
    ) -> Iterable[dict[str, Any]]:
        """Each image with ``objects``, the surest first: COCO's ``category_id``, ``bbox`` and ``score``, and ``label``.

        Raises:
            AdaptError: an image cannot be read, or two would be drawn into one file.
        """
        asked = cast(ObjectDetectionPrediction, options)
        names, ids = info["label_names"], info["category_ids"]
        folder = None if asked.drawn is None else _folder(Path(asked.drawn), rows)
        for (image, outputs), row in zip(self._outputs(model, rows), rows, strict=True):
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

    # ---- helpers --------------------------------------------------------------------------------------------------

    def _outputs(self, model: Model, rows: Sequence[Row]) -> Iterator[tuple[Image.Image, Any]]:
        """Image and outputs row by row, in evaluation mode; the model's mode is left as it was.

        One at a time: in a batch, images would be padded to the largest, and what is found would depend on the others.
        """
        device = next(model.module.parameters()).device
        training = model.module.training
        model.module.eval()
        try:
            for row in rows:
                image = _read(row)
                inputs = model.processor(images=image, return_tensors="pt").to(device)
                with torch.inference_mode():
                    yield image, self.library.call(model.module, inputs, labels=False)
        finally:
            model.module.train(training)


def _boxes_in(batch: Mapping[str, Any]) -> int:
    """What the losses of detectors are means of; one at least, as they have it."""
    return max(sum(len(each["class_labels"]) for each in batch["labels"]), 1)


def _folder(folder: Path, rows: Sequence[Row]) -> Path:
    names = [Path(row["image"]).stem for row in rows]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise AdaptError(f"Two of the images are called {twice}, and would be drawn into one file", "Rename one.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read(row: Row) -> Image.Image:
    try:
        return decode(row["image"])
    except FAULTS as error:
        raise AdaptError(f"{row['image']} cannot be read: {error}", "Replace the file, or leave it out.") from error
