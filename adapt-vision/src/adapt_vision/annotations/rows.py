"""The rows of the tasks with annotated objects: read, checked and split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, replace
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.units import listed
from adapt_vision.annotations.objects import AnnotatedImages, Split, Wanted
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.source import AnnotationFiles, open_annotations
from adapt_vision.data.integrity import readable
from adapt_vision.data.listing import Listing
from adapt_vision.data.sample import draw, hold_out


def load_rows(
    options: AnnotatedImageOptions, seed: int, *, evaluate: bool, wanted: Wanted = "boxes"
) -> tuple[AnnotatedImages, AnnotatedImages | None, dict[str, Any]]:
    """Reads, checks and splits the data of a run.

    Args:
        options: the ``dataset`` section.
        seed: of every draw.
        evaluate: whether evaluation rows are wanted.
        wanted: what is read of objects, beside their boxes.

    Returns:
        Training rows, evaluation rows and what ``data.json`` says, with the form of the keypoints as ``keypoints``.

    Raises:
        UsageError: the configuration names data that is not there.
        AdaptError: the data cannot be trained on.
    """
    opened = open_annotations(options, wanted=wanted)
    _require_used(options, opened, wanted)
    train = opened.read("train", options, wanted, None)
    names = list(train.categories.values())
    rows = _rows(train, options)
    evaluation, origin = None, None
    if evaluate and "validation" in opened.files:
        origin = f"split {opened.name('validation')}"
        other = opened.read("validation", options, wanted, names)
        _require_same_categories(other, train.categories)
        _require_same_keypoints(other, None if train.form is None else train.form.names)
        evaluation = _rows(other, options)
        _require_apart(rows, evaluation)
    elif evaluate:
        origin = f"held out from {opened.name('train')}"
        held = hold_out([""] * len(rows), options.validation_share, seed)
        if not held:
            raise AdaptError(
                f"{rows.source}: nothing can be held out: there is a single image.",
                "Add images or a validation split, or evaluate nothing with training.do_eval=false (DO_EVAL).",
            )
        left = set(held)
        evaluation = rows.take(held)
        rows = rows.take([row for row in range(len(rows)) if row not in left])
    if options.max_train_samples is not None:
        rows = rows.take(draw([""] * len(rows), options.max_train_samples, seed, "training rows"))
    if options.max_eval_samples is not None and evaluation is not None:
        evaluation = evaluation.take(draw([""] * len(evaluation), options.max_eval_samples, seed, "evaluation rows"))
    for part in (rows, evaluation):
        if part is not None and not any(part.objects):
            raise AdaptError(f"{part.source}: no image that was drawn of it has an object.", "Take more images.")
    unreadable = [*rows.unreadable, *(evaluation.unreadable if evaluation is not None else ())]
    info = {
        "source": str(options.path),
        "format": opened.format,
        "splits": {role: opened.name(role) for role in opened.files},
        "evaluation": origin,
        "rows": {"train": len(rows), "validation": 0 if evaluation is None else len(evaluation)},
        "labels": rows.counts(names),
        "label_names": names,
        "category_ids": list(train.categories),
        "unreadable": list(dict.fromkeys(unreadable)),  # rows that were held out know of the same
        **({} if train.form is None else {"keypoints": json.loads(json.dumps(asdict(train.form)))}),
        "fingerprint": _fingerprint(rows, evaluation, names),
    }
    return rows, evaluation, info


def load_other_rows(
    options: AnnotatedImageOptions,
    source: str | None,
    split: str | None,
    info: Mapping[str, Any],
    seed: int,
    wanted: Wanted = "boxes",
) -> tuple[AnnotatedImages, str]:
    """Rows to evaluate a finished run on, and in words where they are from; see ``Task.load_split``.

    Raises:
        UsageError: there is no such data or split.
        AdaptError: it cannot be evaluated on, or the run's own rows are no longer the same.
    """
    if source is None and split in (None, "train", "validation"):
        train, evaluation, now = load_rows(options, seed, evaluate=info["evaluation"] is not None, wanted=wanted)
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
    there = options if source is None else _elsewhere(options)
    opened = open_annotations(there, source, wanted)
    role = _role(opened, split)
    names = list(info["label_names"])
    other = opened.read(role, there, wanted, names)
    ids = (
        info["category_ids"] if opened.format == info.get("format", "coco") else list(other.categories)
    )  # they are a format's own
    _require_same_categories(other, dict(zip(ids, names, strict=False)))
    _require_same_keypoints(other, info["keypoints"]["names"] if wanted == "keypoints" else None)
    rows = _rows(other, there)
    without = f", without {len(rows.unreadable)} images that cannot be read" if rows.unreadable else ""
    return rows, other.source + without


def _elsewhere(options: AnnotatedImageOptions) -> AnnotatedImageOptions:
    """The options for other data, which has its own format, and its images beside it."""
    return options.model_copy(update={"image_root": None, "format": "auto"})


def _require_used(options: AnnotatedImageOptions, opened: AnnotationFiles, wanted: Wanted) -> None:
    """Raises UsageError for an option that says something of what is not read."""
    if options.palette is not None and opened.format != "palette":
        raise UsageError(
            f"dataset.palette is of masks in PNG files, and the data is in the format {opened.format}.", "Leave it out."
        )
    given = [key for key in KEYPOINT_OPTIONS if getattr(options, key) is not None]
    if given and wanted != "keypoints":
        raise UsageError(f"dataset.{given[0]} is of keypoints, and the task reads {wanted}.", "Leave it out.")


KEYPOINT_OPTIONS = ("keypoint_names", "flip_pairs", "skeleton", "sigmas")


def _role(opened: AnnotationFiles, split: str | None) -> str:
    if split is None and len(opened.files) > 1:
        raise UsageError(f"{opened.folder} has {len(opened.files)} splits: {', '.join(opened.files)}.", "Name one.")
    role = split or next(iter(opened.files))
    if role not in opened.files:
        raise UsageError(f"{opened.folder} has no split {split!r}.", f"There are: {', '.join(opened.files)}.")
    return role


def _rows(split: Split, options: AnnotatedImageOptions) -> AnnotatedImages:
    """The images of a split, every one decoded once. Raises AdaptError where images and annotations do not agree."""
    folder = Path(split.folder or ".")
    missing = [name for name in split.files if not (folder / name).is_file()]
    if missing:
        raise AdaptError(
            f"{split.source}: {len(missing)} of {len(split.files)} images are not in {folder}: {listed(missing)}.",
            "Put them there, remove them from the annotations, or name another folder in dataset.image_root.",
        )
    paths = [str((folder / name).resolve()) for name in split.files]
    listing = Listing(split.source, paths, paths, [""] * len(paths))
    kept, found, unreadable = readable(listing, skip=options.skip_unreadable)
    if unreadable:
        good = set(kept.names)
        split = split.take([row for row, path in enumerate(paths) if path in good])
        paths = list(kept.names)
    wrong = [
        f"image {number} ({name}) is {each.size[0]} × {each.size[1]} pixels, not {stated[0]} × {stated[1]}"
        for number, name, each, stated in zip(split.ids, split.files, found, split.sizes, strict=True)
        if stated is not None and stated != each.size
    ]
    if wrong:
        raise AdaptError(
            f"{split.source}: the size of {len(wrong)} of {len(found)} images is another than stated: "
            f"{'; '.join(wrong[:5])}.",
            "Were the images resized, or are they turned by their EXIF data? Their boxes must be those of the files.",
        )
    places = {number: place for place, number in enumerate(split.categories)}
    for objects, each, name in zip(split.objects, found, split.files, strict=True):
        for one in objects:
            if one.box[0] + one.box[2] > each.size[0] + 1 or one.box[1] + one.box[3] > each.size[1] + 1:
                raise AdaptError(
                    f"{split.source}: annotation {one.id}: its box reaches out of its image, {name}, of "
                    f"{each.size[0]} × {each.size[1]} pixels.",
                    "Correct it, or remove it.",
                )
    placed = [[replace(one, category=places[one.category]) for one in objects] for objects in split.objects]
    return AnnotatedImages(split.source, paths, found, placed, split.form, unreadable)


def _require_same_categories(split: Split, categories: Mapping[int, str]) -> None:
    if dict(split.categories) == dict(categories):
        return
    theirs, ours = (
        listed([f"{number} {name}" for number, name in each.items()]) for each in (split.categories, categories)
    )
    raise AdaptError(
        f"{split.source} has other categories than the training split, or other ids for them: {theirs}; "
        f"the training split has {ours}.",
        "Give both the same list of categories.",
    )


def _require_same_keypoints(split: Split, names: Sequence[str] | None) -> None:
    if names is None or split.form is None or list(split.form.names) == list(names):
        return
    raise AdaptError(
        f"{split.source} has other keypoints than the training split: {listed(list(split.form.names))}; the training "
        f"split has {listed(list(names))}.",
        "Give both the same keypoints in the same order.",
    )


def _require_apart(train: AnnotatedImages, evaluation: AnnotatedImages) -> None:
    known = {each.sha256: path for each, path in zip(train.found, train.images, strict=True)}
    shared = [
        f"{path} is {known[each.sha256]}"
        for each, path in zip(evaluation.found, evaluation.images, strict=True)
        if each.sha256 in known
    ]
    if shared:
        raise AdaptError(
            f"{len(shared)} images of {evaluation.source} are training images: {'; '.join(shared[:3])}.",
            "Metrics on images that were trained on mean little: remove them from one of the splits.",
        )


def _fingerprint(train: AnnotatedImages, evaluation: AnnotatedImages | None, names: Sequence[str]) -> str:
    """The SHA-256 of the images' contents and annotations, in their order."""
    parts = [
        [
            (each.sha256, [astuple(one) for one in objects])
            for each, objects in zip(rows.found, rows.objects, strict=True)
        ]
        for rows in (train, evaluation)
        if rows is not None
    ]
    return hashlib.sha256(json.dumps([list(names), parts]).encode()).hexdigest()
