"""The task image classification."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import default_collate

from adapt_core.bundles import Data, Evaluated, Inspected, Model, Row, Section
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer, Task
from adapt_core.plan.run_plan import RunPlan
from adapt_core.utils.majority import why_not_learnt
from adapt_vision.augmentation import Mixing, augmented, transform_for
from adapt_vision.data.cache import ImageReader
from adapt_vision.data.decoding import FAULTS, decode
from adapt_vision.data.integrity import left_out
from adapt_vision.data.listing import from_row
from adapt_vision.data.options import ImageDataOptions
from adapt_vision.image_classification.card import card
from adapt_vision.image_classification.inputs import read_inputs
from adapt_vision.image_classification.metrics import ImageClassificationMeter
from adapt_vision.image_classification.options import ImageClassificationOptions, ImageClassificationPrediction
from adapt_vision.image_classification.report import confusion, inspected, samples
from adapt_vision.image_classification.rows import LabelledImages, ModelInputs, load_other_rows, load_rows
from adapt_vision.libraries.library import ImageLibrary
from adapt_vision.libraries.loading import library_of
from adapt_vision.processing import Processing

PROBE_ROWS = 8
SHOWN_ROWS = 6
TRAINED_AT = 2
"""Training images are read with at most so many times the edge that the model reads."""


class ImageClassification(Task):
    """One label for an image, with any classifier of timm or transformers."""

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan)
        self.options = cast(ImageClassificationOptions, plan.task.options)
        self.dataset = cast(ImageDataOptions, plan.dataset)
        self.library: ImageLibrary = library_of(plan, self.options.image_size)
        self._names: list[str] = []  # known once a model is loaded
        self._reading: list[str] = []

    # ---- data and model -------------------------------------------------------------------------------------------

    def load_data(self) -> Data:
        """The training and evaluation rows, every image of them decoded once."""
        evaluate = self.plan.training.do_eval
        return Data(*load_rows(self.dataset, self.plan.seed, evaluate=evaluate, order=self.library.label_names))

    def load_split(self, source: str | None, split: str | None, info: Mapping[str, Any]) -> Data:
        """Rows to evaluate a finished run on, with the classes that it was trained on."""
        rows, name = load_other_rows(self.dataset, source, split, info, self.plan.seed)
        return Data(None, rows, {**info, "evaluation": name})

    def load_processor(self, info: Mapping[str, Any], path: Path | None = None) -> Any:
        """timm's data configuration, or transformers' image processor."""
        return self.library.load_processor(path)

    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """The classifier with one output a class, and its preprocessing.

        Raises:
            AdaptError: the model cannot be loaded, or its head knows other classes and is not trained.
        """
        names = self._names = list(info["label_names"])
        model = self.library.load_model(names, path, quantizer)
        if path is None:
            self.library.require_names(model, names, "Train the head, or give the data's folders the model's names.")
        return model

    def save_model(self, model: Model, folder: Path) -> None:
        """In the library's own format, with the preprocessing."""
        self.library.save_model(model, folder, self._names)

    def engine_inputs(self, data: Data, model: Model) -> TrainerInputs:
        """Images as the model reads them, training images at random."""
        processing = self.library.processing(model.processor)
        size = processing.form.size
        classes = len(data.info["label_names"])
        mixing = Mixing(self.options.mixup, self.options.cutmix)
        make = partial(ModelInputs, processing=processing, argument=self.library.argument)
        train = evaluation = None
        self._reading = []
        if data.train is not None:
            reader = self._reader(data.train, TRAINED_AT * max(size) if self.options.augmentation != "none" else None)
            train = make(
                reader,
                data.train.labels,
                transform=transform_for(self.options.augmentation, processing.form),
                mixing=mixing,
                classes=classes,
                seed=self.plan.seed,
            )
            self._reading.append(f"training: {reader.describe()}")
        if data.evaluation is not None:
            promised = train.reader.bytes if train is not None and train.reader.cached else 0
            reader = self._reader(data.evaluation, None, promised)
            evaluation = make(reader, data.evaluation.labels)
            self._reading.append(f"evaluation: {reader.describe()}")
        return TrainerInputs(
            train=train,
            evaluation=evaluation,
            collate=default_collate,
            meter=partial(ImageClassificationMeter, classes),
            step=self._step,
            evaluation_step=self._evaluation_step,
            head_loss=self._loss if self.options.augmentation == "none" and not mixing else None,
        )

    def _reader(self, rows: LabelledImages, shorter: int | None, promised: int = 0) -> ImageReader:
        sizes = [each.size for each in rows.found]
        cached = self.dataset.cache == "auto"
        images, names = rows.listing.images, rows.listing.names
        return ImageReader(images, names, sizes, shorter=shorter, cached=cached, promised=promised)

    def _step(self, module: Any, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """Cross entropy, with the targets of mixed images where there are some."""
        logits = self.library.logits(module, batch[self.library.argument])
        return {"loss": self._loss(logits, batch), "logits": logits}

    def _loss(self, logits: Any, batch: Mapping[str, Any]) -> Any:
        targets = batch.get("targets", batch["labels"])
        return functional.cross_entropy(logits, targets, label_smoothing=self.options.label_smoothing)

    def _evaluation_step(self, module: Any, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        logits = self.library.logits(module, batch[self.library.argument])
        return {"loss": functional.cross_entropy(logits, batch["labels"]), "logits": logits}

    # ---- what a person sees ---------------------------------------------------------------------------------------

    def preview(self, data: Data) -> Sequence[Section]:
        """A few training images, how many each class has, how they are read, and which are left out."""
        names = data.info["label_names"]
        count = len(data.train)
        picked = sorted({round(place * (count - 1) / max(SHOWN_ROWS - 1, 1)) for place in range(SHOWN_ROWS)})
        rows = [[names[data.train.labels[row]], data.train.listing.names[row]] for row in picked]
        counts = sorted(data.info["labels"].items(), key=lambda pair: -pair[1])
        notes = list(self._reading)
        if data.info["unreadable"]:
            notes.append(left_out(data.info["unreadable"]))
        if data.info["other_files"]:
            notes.append(f"{data.info['other_files']:,} files are no images by the endings of their names")
        return [
            Section("Training images", "table", ["class", "image"], rows),
            Section("Training images by class", "table", ["class", "images"], [list(pair) for pair in counts]),
            *([Section("How they are read", "table", ["images"], [[each] for each in notes])] if notes else []),
        ]

    def sections(self, evaluated: Evaluated, data: Data) -> Sequence[Section]:
        """Images that were classified wrongly and rightly, and the confusion matrix."""
        names = data.info["label_names"]
        chosen = evaluated.outputs
        return [*samples(chosen, data.evaluation, names), confusion(chosen, names)]

    def notices(self, evaluated: Evaluated, data: Data) -> Sequence[str]:
        """That the model has learnt nothing of use, where it seems so."""
        reason = why_not_learnt(evaluated.outputs.confusion.tolist(), data.info["label_names"])
        return [reason] if reason else []

    def inspect(self, data: Data, processor: Any, examples: int) -> Sequence[Inspected]:
        """Images of every split as the model will see them, training images changed at random as in the first epoch."""
        processing = self.library.processing(processor)
        names = data.info["label_names"]
        transform = transform_for(self.options.augmentation, processing.form)
        return [
            inspected(split, rows, names, partial(self._seen, processing, random), examples)
            for split, rows, random in (("train", data.train, transform), ("validation", data.evaluation, None))
            if rows is not None
        ]

    def _seen(self, processing: Processing, transform: Any, rows: LabelledImages, row: int) -> Any:
        """What the model sees of a row, as a picture."""
        shorter = None if transform is None else TRAINED_AT * max(processing.form.size)
        image = decode(rows.listing.images[row], shorter)
        if transform is not None:
            return augmented(transform, image, self.plan.seed, 0, row)
        return processing.form.picture(processing.evaluation(image))

    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``."""
        return card(self.plan, self.library, info, folder)

    # ---- using the model ------------------------------------------------------------------------------------------

    def probe_rows(self, data: Data) -> Sequence[Row]:
        """The first evaluation rows, or training rows where there are none."""
        rows = data.evaluation if data.evaluation is not None else data.train
        return [rows[index] for index in range(min(PROBE_ROWS, len(rows)))]

    def outputs(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[np.ndarray]:
        """Logits, float32, of shape (classes,) a row."""
        return [row.numpy() for batch in self._logits(model, rows) for row in batch]

    def parse_inputs(self, inputs: Sequence[str], file: Path | None, info: Mapping[str, Any]) -> Sequence[Row]:
        """Rows with ``image``, a path: of files, of what folders hold, of a table's rows."""
        return read_inputs(inputs, file, self.dataset)

    def predict(
        self, model: Model, rows: Sequence[Row], info: Mapping[str, Any], options: Any
    ) -> Iterable[dict[str, Any]]:
        """Each image with its ``label``, the ``score`` of that (a probability) and the best classes' ``scores``."""
        names = info["label_names"]
        top = min(cast(ImageClassificationPrediction, options).top, len(names))
        probabilities = (row.softmax(-1) for batch in self._logits(model, rows) for row in batch)
        for row, each in zip(rows, probabilities, strict=True):
            best = each.topk(top)
            named = {names[int(index)]: float(score) for score, index in zip(*best, strict=True)}
            label = next(iter(named))
            yield {**row, "label": label, "score": named[label], "scores": named}

    # ---- helpers --------------------------------------------------------------------------------------------------

    def _logits(self, model: Model, rows: Sequence[Row]) -> Iterator[torch.Tensor]:
        """Logits batch by batch, in evaluation mode; the model's mode is left as it was."""
        size = self.plan.training.eval_batch_size or 2 * self.plan.training.batch_size
        device = next(model.module.parameters()).device
        processing = self.library.processing(model.processor)
        training = model.module.training
        model.module.eval()
        try:
            for start in range(0, len(rows), size):
                pixels = torch.stack([processing.evaluation(_read(row)) for row in rows[start : start + size]])
                with torch.inference_mode():
                    yield self.library.logits(model.module, pixels.to(device)).float().cpu()
        finally:
            model.module.train(training)


def _read(row: Row) -> Any:
    try:
        return decode(from_row(row["image"]))
    except FAULTS as error:
        name = row["image"] if len(row["image"]) < 500 else "An image"
        raise AdaptError(f"{name} cannot be read: {error}", "Replace the file, or leave it out.") from error
