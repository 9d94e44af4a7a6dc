"""Reads YOLO's annotations as Ultralytics describes them: a YAML file, and a text file for each image.

https://docs.ultralytics.com/datasets/detect, …/segment and …/pose
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.units import listed
from adapt_vision.annotations.keypoints import keypoint_form
from adapt_vision.annotations.masks import Size
from adapt_vision.annotations.objects import Annotation, KeypointForm, Split
from adapt_vision.annotations.reading import (
    Format,
    Named,
    Reading,
    is_whole,
    lines_of,
    listed_names,
    mapping_of,
    require,
    require_class_list,
    size_of,
)
from adapt_vision.annotations.yolo_lines import YoloForm, object_in
from adapt_vision.data.decoding import is_image
from adapt_vision.data.folders import files_in

KEYS = {"train": "train", "validation": "val", "test": "test"}
"""The key of each split."""

USUAL = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
SUFFIXES = (".yaml", ".yml")
CLASSES = "classes.txt"
"""The names of the classes, which annotation tools write beside the labels."""


def find(folder: Path, named: Named) -> dict[str, Path]:
    """The YAML file, for each split that it has."""
    path = folder if folder.suffix in SUFFIXES else _description(folder)
    if path is None:
        return {}
    if wrong := [role for role, name in named.items() if name]:
        raise UsageError(
            f"A file is named for the {wrong[0]} split, and in YOLO's format {path} says where the splits are.",
            "Leave out dataset.train_ann_file, dataset.val_ann_file and dataset.test_ann_file.",
        )
    content = mapping_of(path)
    return {role: path for role, key in KEYS.items() if content.get(key)}


def _description(folder: Path) -> Path | None:
    for name in USUAL:
        if (folder / name).is_file():
            return folder / name
    others = [each for suffix in SUFFIXES for each in sorted(folder.glob(f"*{suffix}"))]
    if len(others) != 1:
        return None
    try:
        content = mapping_of(others[0])
    except AdaptError:  # it is of something else
        return None
    return others[0] if {"names", "train"} <= set(content) else None


def read(path: Path, reading: Reading) -> Split:
    """Reads one split.

    Segments give boxes too, keypoints are left unread where boxes are wanted. A keypoint without visibility is visible
    unless a coordinate is negative.

    Raises:
        UsageError: there is no such split.
        AdaptError: annotations are malformed; all that is wrong is named by file and line, up to twenty.
    """
    content = mapping_of(path)
    if reading.options.image_root is not None:
        raise UsageError(f"dataset.image_root is set, and {path} says where its images are.", "Leave it out.")
    names = _names(path, content)
    require_class_list(path, names, reading.options)
    form = YoloForm(names, *_shape(path, content))
    keypoints = _keypoint_form(path, content, form, reading) if reading.wanted == "keypoints" else None
    images = _images(path, content, KEYS[reading.role])
    labels = [_label_file(image) for image in images]
    _require_no_strangers(path, images, labels, names, _of_other_splits(path, content, KEYS[reading.role]))
    faults: list[str] = []
    objects: list[list[Annotation]] = []
    sizes: list[Size | None] = []
    for image, label in zip(images, labels, strict=True):
        size = size_of(image)
        sizes.append(size)
        objects.append([])
        if size is None or not label.is_file():
            continue  # an image that cannot be read is named with all others; one without a file has no objects
        for number, line in lines_of(label):
            made = object_in(line, form, reading, size, image.name)
            if isinstance(made, str):
                faults.append(f"{label}, line {number}: {made}")
            else:
                objects[-1].append(made)
    require(path, faults)
    if not any(label.is_file() for label in labels):
        raise AdaptError(
            f"{path}: no image of the split {KEYS[reading.role]} has labels; the first was looked for in {labels[0]}.",
            "Put the text files into a folder labels beside images, or beside the images.",
        )
    numbered = _numbered(objects)
    return Split(
        f"{path}, {KEYS[reading.role]}",
        [str(image) for image in images],
        list(range(1, len(images) + 1)),
        sizes,
        dict(enumerate(names)),
        numbered,
        keypoints,
    )


def _numbered(objects: Sequence[Sequence[Annotation]]) -> list[list[Annotation]]:
    number = 0
    made = []
    for found in objects:
        made.append([replace(each, id=number + place) for place, each in enumerate(found, 1)])
        number += len(found)
    return made


# ---- the YAML file --------------------------------------------------------------------------------------------


def _names(path: Path, content: dict[Any, Any]) -> list[str]:
    names = content.get("names")
    if isinstance(names, dict):
        if not all(map(is_whole, names)) or sorted(names) != list(range(len(names))):
            raise AdaptError(f"{path}: the numbers of names are {listed(list(map(str, names)))}.", "They go from 0 on.")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(each, str) and each.strip() for each in names):
        raise AdaptError(f"{path}: names is {names!r}, and no list of classes.", "Name each class, in quotes.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise AdaptError(f"{path}: two classes are called {twice!r}.", "Give each its own name.")
    if content.get("nc", len(names)) != len(names):
        raise AdaptError(f"{path}: nc is {content['nc']!r}, and there are {len(names)} names.", "Correct one of them.")
    return names


def _shape(path: Path, content: dict[Any, Any]) -> tuple[int, int]:
    shape = content.get("kpt_shape")
    if shape is None:
        return 0, 0
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or not is_whole(shape[0])
        or shape[0] < 1
        or shape[1] not in (2, 3)
    ):
        raise AdaptError(
            f"{path}: kpt_shape is {shape!r}, and not the number of keypoints and 2 or 3 numbers for each.",
            "For 17 keypoints with visibility it is [17, 3].",
        )
    return shape[0], shape[1]


def _keypoint_form(path: Path, content: dict[Any, Any], form: YoloForm, reading: Reading) -> KeypointForm:
    if not form.points:
        raise AdaptError(f"{path} has no kpt_shape: its objects have no keypoints.", "Add it, such as [17, 3].")
    names = content.get("kpt_names")
    if isinstance(names, dict):  # a list for each class
        lists = list(names.values())
        if any(each != lists[0] for each in lists):
            raise AdaptError(f"{path}: kpt_names differ between classes.", "One model learns one set of keypoints.")
        names = lists[0] if lists else None
    if names is None:
        names = [str(number) for number in range(form.points)]
    if not isinstance(names, list) or len(names) != form.points or not all(isinstance(each, str) for each in names):
        raise AdaptError(f"{path}: kpt_names is {names!r}, and no name for each of {form.points}.", "Correct it.")
    flips = content.get("flip_idx")
    pairs = None
    if flips is not None:
        good = isinstance(flips, list) and sorted(map(str, flips)) == sorted(map(str, range(form.points)))
        if not good or any(flips[flips[place]] != place for place in range(form.points)):
            raise AdaptError(
                f"{path}: flip_idx is {flips!r}, and does not give each of {form.points} keypoints its counterpart.",
                "List for each keypoint the number, from 0, of the one on the other side; its own where it has none.",
            )
        pairs = [[place + 1, other + 1] for place, other in enumerate(flips) if place < other]
    return keypoint_form(str(path), reading.options, names, None, pairs)


def _images(path: Path, content: dict[Any, Any], key: str) -> list[Path]:
    """The images of a split, by name. ``path`` in the file starts from its folder, a split from ``path``."""
    images: list[Path] = []
    for place in _places(path, content, key):
        if place.is_dir():
            images += [each for each in files_in(place) if is_image(each)]
        else:
            for name in listed_names(place):
                tried = (place.parent / name, _root(path, content) / name)
                image = next((each for each in tried if each.is_file()), None)
                if image is None:
                    raise AdaptError(f"{place}: the image {name} is not there.", "Put it there, or remove the line.")
                images.append(image)
    if not images:
        raise AdaptError(f"{path}: the split {key} has no images.", "Images are known by the endings of their names.")
    return images


def _root(path: Path, content: dict[Any, Any]) -> Path:
    return path.parent / str(content.get("path") or ".")


def _places(path: Path, content: dict[Any, Any], key: str) -> list[Path]:
    """The folders and lists of images of a split."""
    root = _root(path, content)
    places = []
    for entry in content[key] if isinstance(content[key], list) else [content[key]]:
        if not isinstance(entry, str):
            raise AdaptError(f"{path}: {key} has {entry!r}, and no folder or list of images.", "Give its path.")
        place = _place(root, entry)
        if place is None:
            raise UsageError(
                f"{path}: there is no folder or file {root / entry}, which {key} names.",
                "Paths start from path in the file, and that from the folder of the file.",
            )
        places.append(place)
    return places


def _of_other_splits(path: Path, content: dict[Any, Any], key: str) -> set[Path]:
    """Files that may lie among the labels of a split: lists of images, and what the other splits have there."""
    known = set(_places(path, content, key))
    for other in KEYS.values():
        if other == key or not content.get(other):
            continue
        try:
            images = _images(path, content, other)
        except AdaptError:
            continue  # what is wrong with it is told where it is read
        known |= {*_places(path, content, other), *images, *map(_label_file, images)}
    return known


def _place(root: Path, entry: str) -> Path | None:
    tried = [root / entry]
    if entry.startswith("../"):  # which Roboflow writes for folders beside the file
        tried.append(root / entry.removeprefix("../"))
    return next((each for each in tried if each.exists()), None)


def _label_file(image: Path) -> Path:
    """The text file of an image: its path with the last ``images`` as ``labels``; beside it where there is none."""
    parts = list(image.parts)
    if "images" in parts[:-1]:
        place = len(parts) - 2 - parts[-2::-1].index("images")
        parts[place] = "labels"
    return Path(*parts).with_suffix(".txt")


def _require_no_strangers(
    path: Path, images: Sequence[Path], labels: Sequence[Path], names: Sequence[str], others: Set[Path]
) -> None:
    """Raises AdaptError for files among the labels that belong to no image of any split, or to another format."""
    counts = Counter(labels)
    faults = [f"{count} images share the labels {label}" for label, count in counts.items() if count > 1]
    known = {*images, *labels, *others}
    for folder in dict.fromkeys(label.parent for label in labels):
        for each in sorted(folder.iterdir()) if folder.is_dir() else []:
            if each in known or each.is_dir() or each.name.startswith(".") or each.suffix == ".cache":
                continue
            if each.name == CLASSES:
                written = [line for _, line in lines_of(each)]
                if written != list(names):
                    faults.append(f"{each} has the classes {listed(written)}, not {listed(list(names))}")
            elif each.suffix == ".txt":
                faults.append(f"{each} belongs to no image")
            elif each.suffix in (".xml", ".json"):
                faults.append(f"{each} is of another format")
    require(path, faults)


YOLO = Format(
    "YOLO's text files",
    "data.yaml with the folders images and labels",
    frozenset({"boxes", "masks", "keypoints"}),
    find,
    read,
)
