"""The rows of image classification: checked and split, and as the model reads them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.units import listed
from adapt_vision.augmentation import Mixing, augmented
from adapt_vision.data.cache import ImageReader
from adapt_vision.data.integrity import ImageFile, readable
from adapt_vision.data.listing import Listing, to_row
from adapt_vision.data.options import ImageDataOptions
from adapt_vision.data.sample import draw, hold_out
from adapt_vision.data.source import ImageSource, open_local, open_source
from adapt_vision.processing import Processing


@dataclass(frozen=True)
class LabelledImages:
    """Readable images with the ids of their classes; a map-style data set, whose rows are mappings.

    Attributes:
        listing: the images.
        found: what was found of each.
        labels: the id of each one's class.
        unreadable: images that were left out, with the reason.
    """

    listing: Listing
    found: Sequence[ImageFile]
    labels: Sequence[int]
    unreadable: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """``{"image": a path or a content as text, "label": id}``."""
        return {"image": to_row(self.listing.images[row]), "label": self.labels[row]}

    def take(self, rows: Sequence[int]) -> LabelledImages:
        """These rows, in this order."""
        return LabelledImages(
            self.listing.take(rows),
            [self.found[row] for row in rows],
            [self.labels[row] for row in rows],
            self.unreadable,
        )

    def without(self, rows: Sequence[int]) -> LabelledImages:
        """All other rows, in their order."""
        left = set(rows)
        return self.take([row for row in range(len(self)) if row not in left])


def load_rows(
    options: ImageDataOptions, seed: int, *, evaluate: bool, order: Callable[[], Sequence[str]] = list
) -> tuple[LabelledImages, LabelledImages | None, dict[str, Any]]:
    """Lists, decodes and splits the data of a run.

    Args:
        options: the ``dataset`` section.
        seed: of every draw.
        evaluate: whether evaluation rows are wanted.
        order: gives the classes in the order of the ids that a model gives them; kept if the data has the same.

    Returns:
        Training rows, evaluation rows and what ``data.json`` says.

    Raises:
        UsageError: the configuration names data, splits or columns that are not there.
        AdaptError: the data cannot be trained on.
    """
    source = open_source(options)
    roles = source.roles(options)
    listing = source.list(str(roles["train"]))
    names = sorted(set(listing.labels), key=lambda name: (0, int(name), "") if name.isdecimal() else (1, 0, name))
    _require_two(names, listing.source)
    preferred = list(order())
    names = preferred if set(preferred) == set(names) else names
    train, evaluation, origin = listing, None, None
    if evaluate and roles["validation"] is not None:
        origin = f"split {roles['validation']}"
        evaluation = source.list(roles["validation"])
        _require_known(evaluation, names)
    elif evaluate:
        origin = f"held out from split {roles['train']}"
        held = hold_out(listing.labels, options.validation_share, seed)
        if not held:
            raise AdaptError(
                f"{listing.source}: nothing can be held out: every class has a single image.",
                "Add images or a validation split, or evaluate nothing with training.do_eval=false (DO_EVAL).",
            )
        left = set(held)
        train = listing.take([row for row in range(len(listing)) if row not in left])
        evaluation = listing.take(held)
    if options.max_train_samples is not None:
        train = train.take(draw(train.labels, options.max_train_samples, seed, "training rows"))
        _require_two(
            sorted(set(train.labels)), f"dataset.max_train_samples={options.max_train_samples} of {source.name}"
        )
    if options.max_eval_samples is not None and evaluation is not None:
        evaluation = evaluation.take(draw(evaluation.labels, options.max_eval_samples, seed, "evaluation rows"))
    rows = _checked(train, names, options)
    _require_two([names[each] for each in sorted(set(rows.labels))], train.source)
    evaluated = None if evaluation is None else _checked(evaluation, names, options)
    counts = Counter(rows.labels)
    info = {
        "source": source.name,
        "splits": roles,
        "evaluation": origin,
        "rows": {
            "train": len(rows),
            "validation": 0 if evaluated is None else len(evaluated),
            "test": 0 if roles["test"] is None else len(source.list(roles["test"])),
        },
        "labels": {name: counts[position] for position, name in enumerate(names)},
        "label_names": names,
        "unreadable": [*rows.unreadable, *(evaluated.unreadable if evaluated else ())],
        "other_files": listing.others,
        "fingerprint": _fingerprint(rows, evaluated, names),
    }
    return rows, evaluated, info


def load_other_rows(
    options: ImageDataOptions, source: str | None, split: str | None, info: Mapping[str, Any], seed: int
) -> tuple[LabelledImages, str]:
    """Rows to evaluate a finished run on, and in words where they are from; see ``Task.load_split``.

    Raises:
        UsageError: there is no such data or split.
        AdaptError: it cannot be evaluated on, or the run's own rows are no longer the same.
    """
    if source is None and split in (None, "train", "validation"):
        evaluate = info["evaluation"] is not None
        train, evaluation, now = load_rows(options, seed, evaluate=evaluate, order=lambda: info["label_names"])
        if now["fingerprint"] != info["fingerprint"]:
            raise AdaptError(
                f"The data in {now['source']} is no longer what the run was made with: its fingerprint differs.",
                "Restore the data, or evaluate on other data, given by its path.",
            )
        if split == "train":
            return train, f"split {now['splits']['train']}, as trained on"
        if evaluation is None:
            raise UsageError("The run evaluated on nothing.", "Name a split, or other data.")
        return evaluation, str(now["evaluation"])
    opened = open_source(options) if source is None else open_local(source, options)
    listing = opened.list(_split_of(opened, options, split, own=source is None))
    _require_known(listing, info["label_names"])
    return _checked(listing, info["label_names"], options), listing.source


def _split_of(opened: ImageSource, options: ImageDataOptions, split: str | None, *, own: bool) -> str:
    if split is None:
        if len(opened.splits) > 1:
            raise UsageError(f"{opened.name} has {len(opened.splits)} splits: {', '.join(opened.splits)}.", "Name one.")
        return next(iter(opened.splits))
    named = opened.roles(options)["test"] if own and split == "test" else None
    return named or opened.find(split)


def _checked(listing: Listing, names: Sequence[str], options: ImageDataOptions) -> LabelledImages:
    kept, found, left_out = readable(listing, skip=options.skip_unreadable)
    ids = {name: position for position, name in enumerate(names)}
    return LabelledImages(kept, found, [ids[label] for label in kept.labels], left_out)


def _require_two(names: Sequence[str], source: str) -> None:
    if len(names) < 2:
        raise AdaptError(
            f"{source} has a single class, {names[0]!r}: there is nothing to learn.",
            "Give images of at least two classes; a folder of images has a folder for each.",
        )


def _require_known(listing: Listing, names: Sequence[str]) -> None:
    rows = [row for row, label in enumerate(listing.labels) if label not in set(names)]
    if rows:
        unknown = Counter(listing.labels[row] for row in rows)
        shown = listed([f"{name!r} ({count})" for name, count in unknown.most_common()])
        raise AdaptError(
            f"{listing.source} has classes that are not among the {len(names)} training classes: {shown}; "
            f"the first is {listing.names[rows[0]]}.",
            f"The training classes are {listed(list(names))}. Correct these labels, or add training images of them.",
        )


def _fingerprint(train: LabelledImages, evaluation: LabelledImages | None, names: Sequence[str]) -> str:
    """The SHA-256 of the images' contents and labels, in their order."""
    parts = [
        [(each.sha256, label) for each, label in zip(rows.found, rows.labels, strict=True)]
        for rows in (train, evaluation)
        if rows is not None
    ]
    return hashlib.sha256(json.dumps([list(names), parts]).encode()).hexdigest()


class ModelInputs(Dataset[dict[str, Any]]):
    """Images as a model reads them.

    Args:
        reader: decodes them.
        labels: the id of each one's class.
        processing: the model's.
        argument: what the model calls its input.
        transform: the random transform of training images; None for the model's own preprocessing alone.
        mixing: with other images.
        classes: how many there are.
        seed: of the run.
    """

    def __init__(
        self,
        reader: ImageReader,
        labels: Sequence[int],
        processing: Processing,
        argument: str,
        *,
        transform: Any = None,
        mixing: Mixing | None = None,
        classes: int = 0,
        seed: int = 0,
    ) -> None:
        self.reader, self.labels, self.processing, self.argument = reader, labels, processing, argument
        self.transform, self.mixing, self.classes, self.seed = transform, mixing, classes, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch for which random numbers are drawn."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """The image, of shape (3, height, width), float32, ``labels``, and ``targets`` of shape (classes,) if mixed."""
        pixels = self._pixels(row, row)
        if not self.mixing:
            return {self.argument: pixels, "labels": self.labels[row]}
        partner = self.mixing.partner(len(self), self.seed, self.epoch, row)
        # Drawn for the row that it is mixed into: two rows may have the same partner.
        pixels, share = self.mixing.mix(pixels, self._pixels(partner, len(self) + row), self.seed, self.epoch, row)
        targets = torch.zeros(self.classes)
        targets[self.labels[row]] += share
        targets[self.labels[partner]] += 1 - share
        return {self.argument: pixels, "labels": self.labels[row], "targets": targets}

    def _pixels(self, row: int, draw: int) -> torch.Tensor:
        image = self.reader[row]
        if self.transform is None:
            return self.processing.evaluation(image)
        return self.processing.form.tensor(augmented(self.transform, image, self.seed, self.epoch, draw))
