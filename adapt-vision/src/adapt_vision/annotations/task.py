"""What the tasks with annotated objects have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from PIL import Image

from adapt_core.bundles import Data, Evaluated, Inspected, Model, Row, Section
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer, Task
from adapt_core.plan.run_plan import RunPlan
from adapt_core.utils.majority import REMEDY
from adapt_vision.annotations.augmentation import augmented, transform_for
from adapt_vision.annotations.files import Part, coco_results, rows_of
from adapt_vision.annotations.objects import AnnotatedImages, Annotation, Wanted
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.report import inspected
from adapt_vision.annotations.rows import load_other_rows, load_rows
from adapt_vision.data.cache import ImageReader
from adapt_vision.data.decoding import FAULTS, decode
from adapt_vision.data.integrity import left_out

PROBE_ROWS = 4
NOTHING = 0.01
"""A model with a lower AP50 has found nothing."""


class AnnotatedImageTask(Task):
    """A task whose rows are images with objects, and whose model reads one image at a time.

    Args:
        plan: of the run; the task's options have ``augmentation``.
        library: of the models.
    """

    wanted: ClassVar[Wanted] = "boxes"
    """What the task reads of objects."""

    part: ClassVar[Part] = "bbox"
    """What COCO's results have of each object that is found."""

    def __init__(self, plan: RunPlan, library: Any) -> None:
        super().__init__(plan)
        self.dataset = cast(AnnotatedImageOptions, plan.dataset)
        self.library = library
        self._names: list[str] = []  # known once a model is loaded
        self._readers: dict[str, ImageReader] = {}

    # ---- data and model -------------------------------------------------------------------------------------------

    def load_data(self) -> Data:
        """The training and evaluation rows, every image of them decoded once."""
        train, evaluation, info = load_rows(
            self.dataset, self.plan.seed, evaluate=self.plan.training.do_eval, wanted=self.wanted
        )
        return Data(train, evaluation, {**info, "most_objects": most_objects(train)})

    def load_split(self, source: str | None, split: str | None, info: Mapping[str, Any]) -> Data:
        """Rows to evaluate a finished run on, with the classes that it was trained on."""
        rows, name = load_other_rows(self.dataset, source, split, info, self.plan.seed, self.wanted)
        return Data(None, rows, {**info, "evaluation": name})

    def load_processor(self, info: Mapping[str, Any], path: Path | None = None) -> Any:
        """The model's image processor."""
        return self.library.load_processor(path)

    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """The model, its heads sized for the classes of the data.

        Raises:
            AdaptError: the model cannot be loaded, or its head knows other classes and is not trained.
        """
        names = self._names = list(info["label_names"])
        model: Model = self.library.load_model(names, path, quantizer)
        if path is None:
            self.library.require_names(
                model, names, "Train the head, or give the data's categories the model's names, in its order."
            )
            model = replace(model, notices=(*model.notices, *self._beyond(info)))
        return model

    def _beyond(self, info: Mapping[str, Any]) -> Sequence[str]:
        """That an image has more objects than the model can find, where one has."""
        bound, most = self.library.queries(), info.get("most_objects", 0)
        if bound is None or most <= bound:
            return ()
        return (
            f"A training image has {most} objects, and the model finds at most {bound} in one: it has so many queries. "
            "What is beyond is not learned; cut the images into parts, or take a model with more queries.",
        )

    def save_model(self, model: Model, folder: Path) -> None:
        """As ``save_pretrained`` does, with the processor."""
        self.library.save_model(model, folder, self._names)

    def reader(self, rows: AnnotatedImages, use: Literal["training", "evaluation"]) -> ImageReader:
        """Decodes the images of rows, at most once each where they fit into memory, for training first."""
        first = self._readers.get("training") if use == "evaluation" else None
        promised = first.bytes if first is not None and first.cached else 0
        sizes, cached = [each.size for each in rows.found], self.dataset.cache == "auto"
        made = self._readers[use] = ImageReader(rows.images, rows.images, sizes, cached=cached, promised=promised)
        return made

    @property
    def transform(self) -> Any:
        """The random change of training images that the configuration names; None for none."""
        return transform_for(cast(Any, self.plan.task.options).augmentation)

    # ---- what a person sees ---------------------------------------------------------------------------------------

    def preview(self, data: Data) -> Sequence[Section]:
        """How many objects of each class the training images have, how many have none, and how images are read."""
        counts = sorted(data.info["labels"].items(), key=lambda pair: -pair[1])
        empty = sum(not objects for objects in data.train.objects)
        crowds = sum(each.crowd for objects in data.train.objects for each in objects)
        told = [
            ["images", len(data.train)],
            ["images without objects", empty],
            ["most objects in an image", most_objects(data.train)],
            ["crowds", crowds],
        ]
        notes = [f"{use}: {reader.describe()}" for use, reader in self._readers.items()]
        notes += [left_out(data.info["unreadable"])] if data.info["unreadable"] else []
        return [
            Section("Training objects by class", "table", ["class", "objects"], [list(pair) for pair in counts]),
            Section("Training images", "table", ["what", "number"], told),
            *([Section("How they are read", "table", ["images"], [[each] for each in notes])] if notes else []),
        ]

    def notices(self, evaluated: Evaluated, data: Data) -> Sequence[str]:
        """That the model finds nothing, where it does not."""
        precision = evaluated.metrics["ap50"]
        if precision >= NOTHING:
            return ()
        return (f"The model finds next to nothing: AP at an IoU of 0.5 is {precision:.4f}. {REMEDY}",)

    def inspect(self, data: Data, processor: Any, examples: int) -> Sequence[Inspected]:
        """Images of every split with their objects, training images changed at random as in the first epoch."""
        names = data.info["label_names"]
        return [
            inspected(split, rows, names, partial(self._seen, random), examples)
            for split, rows, random in (("train", data.train, self.transform), ("validation", data.evaluation, None))
            if rows is not None
        ]

    def _seen(self, transform: Any, rows: AnnotatedImages, row: int) -> tuple[Image.Image, Sequence[Annotation]]:
        image, objects = decode(rows.images[row]), list(rows.objects[row])
        return (image, objects) if transform is None else augmented(transform, image, objects, self.plan.seed, 0, row)

    # ---- using the model ------------------------------------------------------------------------------------------

    def probe_rows(self, data: Data) -> Sequence[Row]:
        """The first evaluation rows, or training rows where there are none."""
        rows = data.evaluation if data.evaluation is not None else data.train
        return [rows[index] for index in range(min(PROBE_ROWS, len(rows)))]

    def parse_inputs(self, inputs: Sequence[str], file: Path | None, info: Mapping[str, Any]) -> Sequence[Row]:
        """Rows with ``image``, a path: of files, of what folders hold, and with ``image_id`` of a file of COCO's."""
        return rows_of(inputs, file, self.dataset)

    def results(self, prediction: dict[str, Any], number: int, options: Any) -> Iterable[dict[str, Any]]:
        """The prediction, or its objects as COCO's results have them."""
        return [prediction] if options.format == "images" else coco_results(prediction, number, self.part)

    def each(self, model: Model, rows: Sequence[Row]) -> Iterator[tuple[Image.Image, Any]]:
        """Image and outputs row by row, in evaluation mode; the model's mode is left as it was.

        One at a time: in a batch, images would be padded to the largest, and what is found would depend on the others.

        Raises:
            AdaptError: an image cannot be read.
        """
        training = model.module.training
        model.module.eval()
        try:
            for row in rows:
                image = read(row)
                with torch.inference_mode():
                    yield image, self.infer(model, image, row)
        finally:
            model.module.train(training)

    @abstractmethod
    def infer(self, model: Model, image: Image.Image, row: Row) -> Any:
        """The model's outputs for one image, of ``row``."""


def most_objects(rows: AnnotatedImages) -> int:
    """How many objects the image with the most has, crowds aside."""
    return max((sum(not each.crowd for each in objects) for objects in rows.objects), default=0)


def drawn_folder(folder: str | None, rows: Sequence[Row]) -> Path | None:
    """The folder for drawn images, made. Raises AdaptError where two would be drawn into one file."""
    if folder is None:
        return None
    names = [Path(row["image"]).stem for row in rows]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise AdaptError(f"Two of the images are called {twice}, and would be drawn into one file", "Rename one.")
    made = Path(folder)
    made.mkdir(parents=True, exist_ok=True)
    return made


def read(row: Row) -> Image.Image:
    """The image of a row. Raises AdaptError where it cannot be read."""
    try:
        return decode(row["image"])
    except FAULTS as error:
        raise AdaptError(f"{row['image']} cannot be read: {error}", "Replace the file, or leave it out.") from error
