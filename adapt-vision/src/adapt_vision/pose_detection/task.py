"""The task pose detection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
from PIL import Image

from adapt_core.bundles import Data, Evaluated, Inspected, Model, Row, Section
from adapt_core.engines.common.inputs import Inputs
from adapt_core.interfaces import Quantizer
from adapt_core.plan.run_plan import RunPlan
from adapt_core.utils.majority import REMEDY
from adapt_core.utils.units import listed
from adapt_vision.annotations.card import card
from adapt_vision.annotations.drawing import drawn
from adapt_vision.annotations.files import Part
from adapt_vision.annotations.objects import AnnotatedImages, KeypointForm
from adapt_vision.annotations.rows import load_other_rows, load_rows
from adapt_vision.annotations.task import PROBE_ROWS, AnnotatedImageTask, drawn_folder
from adapt_vision.data.decoding import decode
from adapt_vision.libraries.loading import poses_of
from adapt_vision.pose_detection.augmentation import NO_CHANGE, Name, drawn_change
from adapt_vision.pose_detection.boxes import boxes_of, rows_at
from adapt_vision.pose_detection.inputs import Collation, PoseRows, Sample, sample
from adapt_vision.pose_detection.instances import Instances, instances_of, require_poses
from adapt_vision.pose_detection.measuring import PoseMeter, score_of
from adapt_vision.pose_detection.options import PoseDetectionOptions, PoseDetectionPrediction
from adapt_vision.pose_detection.report import counted, found_of, inspected, sections

NOT_MIRRORED = (
    "Images are not mirrored: names of keypoints that are numbers do not tell left from right. Give the pairs that "
    "change sides in dataset.flip_pairs ([] for none), or names in dataset.keypoint_names."
)

NOTHING = 0.05
"""A model with a lower PCK has found nothing."""


class PoseDetection(AnnotatedImageTask):
    """Keypoints of objects, each in the crop of its box, with heatmaps."""

    part: ClassVar[Part] = "keypoints"
    library: Any

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan, poses_of(plan))
        self.options = cast(PoseDetectionOptions, plan.task.options)

    # ---- data and model -------------------------------------------------------------------------------------------

    def load_data(self) -> Data:
        """The training and evaluation rows, every image of them decoded once, their keypoints held against boxes.

        Flip pairs, skeleton and sigmas of the training file count for all rows: a run has one measure.
        """
        evaluate = self.plan.training.do_eval
        train, evaluation, info = load_rows(self.dataset, self.plan.seed, evaluate=evaluate, wanted="keypoints")
        evaluation = None if evaluation is None else replace(evaluation, form=train.form)
        counts = {}
        for name, rows in (("train", train), ("validation", evaluation)):
            if rows is not None:
                instances = instances_of(rows)
                require_poses(instances)
                counts[name] = len(instances)
        return Data(train, evaluation, {**info, "objects": counts})

    def load_split(self, source: str | None, split: str | None, info: Mapping[str, Any]) -> Data:
        """Rows to evaluate a finished run on, with the keypoints that it was trained on."""
        rows, name = load_other_rows(self.dataset, source, split, info, self.plan.seed, wanted="keypoints")
        rows = replace(rows, form=KeypointForm(**info["keypoints"]))
        require_poses(instances_of(rows))
        return Data(None, rows, {**info, "evaluation": name})

    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """The model, its head sized for the keypoints of the data.

        Raises:
            AdaptError: the model cannot be loaded, or its head knows other keypoints and is not trained.
        """
        names = self._names = list(self.library.names_of(info))
        model: Model = self.library.load_model(names, path, quantizer)
        if path is None:
            remedy = "Train the head, or give the keypoints the model's names, in its order, in dataset.keypoint_names."
            self.library.require_names(model, names, remedy)
            model = replace(model, notices=(*model.notices, *self._unmirrored(info)))
        return model

    def _unmirrored(self, info: Mapping[str, Any]) -> tuple[str, ...]:
        unknown = info["keypoints"]["flip_pairs"] is None
        return (NOT_MIRRORED,) if unknown and self.options.augmentation != "none" else ()

    def engine_inputs(self, data: Data, model: Model) -> Inputs:
        """Crops of objects as the model's processor makes them, training crops changed at random."""
        train = self._rows(data.train, "training", model.processor, self.options.augmentation)
        evaluation = self._rows(data.evaluation, "evaluation", model.processor, "none")
        measured = None if evaluation is None else evaluation.instances
        made: Inputs = self.library.inputs(
            train=train,
            evaluation=evaluation,
            collate=Collation(partial(self.library.batch, model.processor)),
            meter=None if measured is None else partial(PoseMeter, measured),
            step=self.library.call,
            evaluation_step=None if measured is None else partial(self._measured, model.processor, measured),
        )
        return made

    def _rows(
        self, images: AnnotatedImages | None, use: Literal["training", "evaluation"], processor: Any, augmentation: Name
    ) -> PoseRows | None:
        if images is None:
            return None
        crop = partial(self.library.crop, processor)
        return PoseRows(instances_of(images), self.reader(images, use), crop, augmentation, self.plan.seed)

    def _measured(self, processor: Any, instances: Instances, module: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        boxes = [instances[row].box for row in batch["rows"].tolist()]
        found: dict[str, Any] = self.library.measured(processor, module, batch, boxes)
        return found

    # ---- what a person sees ---------------------------------------------------------------------------------------

    def preview(self, data: Data) -> Sequence[Section]:
        """What there is in the training images: objects by class, and by keypoint."""
        return [*super().preview(data), counted(instances_of(data.train))]

    def sections(self, evaluated: Evaluated, data: Data) -> Sequence[Section]:
        """PCK by keypoint, and what was found beside what there is."""
        return sections(evaluated.outputs, instances_of(data.evaluation))

    def notices(self, evaluated: Evaluated, data: Data) -> Sequence[str]:
        """That the model finds nothing, where it does not; and which keypoints it has never seen."""
        told = []
        if (found := evaluated.metrics["pck"]) < NOTHING:
            told.append(f"The model finds next to nothing: PCK@0.1 is {found:.4f}. {REMEDY}")
        if data.train is not None:
            instances = instances_of(data.train)
            counts = zip(instances.form.names, instances.annotated(), strict=True)
            if never := [name for name, count in counts if not count]:
                told.append(
                    f"No training object has these keypoints, and the model has not learnt them: {listed(never)}."
                )
        return told

    def inspect(self, data: Data, processor: Any, examples: int) -> Sequence[Inspected]:
        """Crops of every split with their skeletons, training crops changed at random as in the first epoch."""
        names = data.info["label_names"]
        made = [
            inspected(split, instances_of(rows), names, partial(self._crop_of, processor, split == "train"), examples)
            for split, rows in (("train", data.train), ("validation", data.evaluation))
            if rows is not None
        ]
        return [replace(made[0], notices=(*made[0].notices, *self._unmirrored(data.info))), *made[1:]]

    def _crop_of(self, processor: Any, random: bool, instances: Instances, row: int) -> Sample:
        change = drawn_change(self.options.augmentation, self.plan.seed, 0, row) if random else NO_CHANGE
        image = decode(instances.images.images[instances.places[row][0]])
        return sample(instances, row, image, partial(self.library.crop, processor), change)

    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``."""
        library, code = self.library.code(info, folder)
        use = (*USE, "", f"Its keypoints are {', '.join(info['keypoints']['names'])}.")
        return card(self.plan, info, library, code, tag="keypoint-detection", what="A pose estimator", use=use)

    # ---- using the model ------------------------------------------------------------------------------------------

    def probe_rows(self, data: Data) -> Sequence[Row]:
        """The first images with poses among the evaluation rows, or training rows where there are none."""
        rows: AnnotatedImages = data.evaluation if data.evaluation is not None else data.train
        instances = instances_of(rows)
        first = sorted({image for image, _ in instances.places})[:PROBE_ROWS]
        return [
            {**rows[image], "boxes": [list(instances[row].box) for row in instances.of_image(image)]} for image in first
        ]

    def outputs(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[np.ndarray]:
        """Heatmaps, float32 of shape (boxes, keypoints, height, width) a row; of shape (0,) where there is no box."""
        return [
            np.zeros(0, dtype=np.float32) if outputs is None else self.library.raw(outputs).numpy()
            for _, outputs in self.each(model, rows)
        ]

    def parse_inputs(self, inputs: Sequence[str], file: Path | None, info: Mapping[str, Any]) -> Sequence[Row]:
        """Rows with ``image``, a path, and ``boxes`` where a file of COCO's or of a detector's predictions has them."""
        return rows_at(inputs, file, self.dataset)

    def infer(self, model: Model, image: Image.Image, row: Row) -> Any:
        """The model's outputs for the boxes in an image; None where there are none."""
        boxes = boxes_of(row, image.size)
        return self.library.infer(model, image, boxes) if boxes else None

    def predict(
        self, model: Model, rows: Sequence[Row], info: Mapping[str, Any], options: Any
    ) -> Iterable[dict[str, Any]]:
        """Each image with ``objects``, one a box: COCO's ``category_id``, ``bbox``, ``keypoints`` and ``score``.

        ``keypoints`` are x, y and score of each, in a row.

        Raises:
            AdaptError: an image cannot be read, or two would be drawn into one file.
        """
        asked = cast(PoseDetectionPrediction, options)
        form = KeypointForm(**info["keypoints"])
        ids, folder = info["category_ids"], drawn_folder(asked.drawn, rows)
        only = ids * (len(ids) == 1)
        for (image, outputs), row in zip(self.each(model, rows), rows, strict=True):
            boxes = boxes_of(row, image.size)
            categories = row.get("category_ids") or only * len(boxes)
            found = self.library.found(model.processor, outputs, boxes) if boxes else []
            objects = [
                {
                    **({"category_id": categories[place]} if categories else {}),
                    "bbox": box,
                    "keypoints": keypoints.reshape(-1).tolist(),
                    "score": score_of(keypoints),
                }
                for place, (box, keypoints) in enumerate(zip(boxes, found, strict=True))
            ]
            if folder is not None:
                shown = [
                    found_of(keypoints, box, place, form, asked.threshold)
                    for place, (box, keypoints) in enumerate(zip(boxes, found, strict=True))
                ]
                drawn(image, shown).save(folder / f"{Path(row['image']).stem}.png")
            kept = {name: row[name] for name in ("image", "image_id") if name in row}
            yield {**kept, "objects": objects}


USE = (
    "It finds the keypoints of the object that fills the image files which are named behind it",
    "(`python pose.py photo.jpg`), and prints the name, x and y in pixels, and score of each. Where an object is a",
    "part of its image, give its box in `boxes`. Images with transparency or 16 bits a channel must be made into plain",
    "RGB first.",
)
