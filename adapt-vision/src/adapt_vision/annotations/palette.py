"""Reads masks in PNG files: a class, and where there is a second one an instance, for every pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed
from adapt_vision.annotations.masks import box_of, encoded
from adapt_vision.annotations.objects import Annotation, Split
from adapt_vision.annotations.reading import (
    Format,
    Named,
    Reading,
    image_called,
    listed_names,
    mapping_of,
    named_file,
    require,
    size_of,
)
from adapt_vision.data.decoding import FAULTS
from adapt_vision.data.source import USUAL_NAMES

LISTS = (".", "ImageSets/Segmentation")
IMAGES = ("images", "JPEGImages")
MASKS = ("masks", "SegmentationClass")
INSTANCES = ("masks_instance", "SegmentationObject")
CLASSES = "classes.json"
BACKGROUND = "background"
IGNORED = 255
"""The value of pixels that belong to nothing, in masks of eight bits."""

BORDER = ((255, 255, 255), (224, 224, 192))
"""The colours of such pixels: white, and what Pascal VOC's palette has at 255."""


def find(folder: Path, named: Named) -> dict[str, Path]:
    """The list of the images of each split."""
    if not any((folder / each).is_dir() for each in (*MASKS, *INSTANCES)):
        return {}
    files = {role: named_file(folder, name, role, *LISTS) for role, name in named.items() if name}
    for role, names in USUAL_NAMES.items():
        lists = [folder / place / f"{name}.txt" for place in LISTS for name in names]
        if found := [each for each in lists if each.is_file()]:
            files.setdefault(role, found[0])
    return files


def read(file: Path, reading: Reading) -> Split:
    """Reads one split.

    A pixel's class is its number, or with ``dataset.palette`` its colour. 255 belongs to nothing, ``background`` is no
    object. Objects are what has one number in the instance mask, 0 and 255 aside; where there is none, what hangs
    together in the mask of classes, corners included.

    Raises:
        AdaptError: masks are missing or malformed; all that is wrong is named by file, up to twenty.
    """
    folder = reading.folder
    classes = _classes(folder, reading)
    names = listed_names(file)
    folders = [Path(reading.options.image_root)] if reading.options.image_root else _places(folder, file, IMAGES)
    if not reading.options.image_root:
        folders += [folder / file.stem, folder]
    images = [image_called(name, folders) for name in names]
    where = listed([str(each) for each in folders])
    require(file, [f"{name}: no image in {where}" for name, each in zip(names, images, strict=True) if not each])
    stems = [image.stem for image in images if image]
    masks = [image_called(stem, _places(folder, file, MASKS)) for stem in stems]
    instances = [image_called(stem, _places(folder, file, INSTANCES)) for stem in stems]
    by_instance = any(instances)
    faults = [
        f"{name}: it has no mask"
        for name, mask, instance in zip(names, masks, instances, strict=True)
        if (mask is None and (any(masks) or not by_instance)) or (by_instance and instance is None)
    ]
    uses = Counter(each for each in (*masks, *instances) if each)
    faults += [f"{count} images share the mask {mask}" for mask, count in uses.items() if count > 1]
    require(file, faults)
    number = 0
    objects: list[list[Annotation]] = []
    sizes = [size_of(image) for image in images if image]
    for mask, instance, size in zip(masks, instances, sizes, strict=True):
        objects.append([])
        if size is None:
            continue  # an image that cannot be read is named with all others
        try:
            for category, pixels in _shapes(mask, instance, size, classes):
                number += 1
                counts = encoded(pixels)
                area, box = float(pixels.sum()), box_of(counts, size)
                shape = counts if reading.wanted == "masks" else None
                objects[-1].append(Annotation(number, category, box, area, mask=shape))
        except ValueError as error:
            faults.append(str(error))
    require(file, faults)
    return Split(
        str(file),
        [str(image) for image in images],
        list(range(1, len(images) + 1)),
        sizes,
        dict(enumerate(classes.things)),
        objects,
    )


def _places(folder: Path, file: Path, names: Sequence[str]) -> list[Path]:
    return [place for name in names for place in (folder / name, folder / name / file.stem)]


# ---- classes --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Classes:
    """The classes of a mask, and the colour of each; None where a pixel's number is its class."""

    names: Sequence[str]
    palette: Sequence[Sequence[int]] | None

    @cached_property
    def things(self) -> list[str]:
        """The classes of objects."""
        return [name for name in self.names if name.lower() != BACKGROUND]

    @cached_property
    def thing(self) -> dict[int, int]:
        """From the number of a class to that among objects."""
        return {place: self.things.index(name) for place, name in enumerate(self.names) if name in self.things}

    @cached_property
    def colours(self) -> dict[tuple[int, ...], int]:
        """The number of the class of each colour; -1 for what belongs to nothing."""
        made = {(0, 0, 0): -1, **dict.fromkeys(BORDER, -1)}
        return made | {tuple(colour): place for place, colour in enumerate(self.palette or [])}


def _classes(folder: Path, reading: Reading) -> _Classes:
    names, palette, where = reading.options.class_list, reading.options.palette, "dataset.class_list (class_list)"
    if names is None and (folder / CLASSES).is_file():
        content, where = mapping_of(folder / CLASSES), str(folder / CLASSES)
        names = content.get("classes")
        palette = palette if palette is not None else content.get("palette")
    if names is None:
        raise AdaptError(f"{folder} does not say what its masks show.", "Name the classes in dataset.class_list.")
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise AdaptError(f"{where} is {names!r}, and no list of names.", "Name each class, in the order of the masks.")
    if len(set(names)) < len(names):
        raise AdaptError(f"{where} names a class twice: {listed(names)}.", "Give each its own name.")
    if palette is not None:
        good = isinstance(palette, list) and all(_is_colour(each) for each in palette)
        if not good or len(palette) != len(names):
            raise AdaptError(
                f"{palette!r} is no palette of the {len(names)} classes {listed(names)}.",
                "Give each class its red, green and blue, from 0 to 255, in dataset.palette (palette).",
            )
        if len({tuple(each) for each in palette}) < len(palette):
            raise AdaptError(f"The palette gives two classes the same colour: {palette!r}.", "Give each its own.")
    classes = _Classes(list(names), palette)
    if not classes.things:
        raise AdaptError(f"{where} has no class of objects: {listed(list(names))}.", "Name at least one.")
    return classes


def _is_colour(value: object) -> bool:
    return (
        isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(x, int) and 0 <= x < 256 for x in value)
    )


# ---- masks ----------------------------------------------------------------------------------------------------


def _shapes(
    mask: Path | None, instance: Path | None, size: tuple[int, int], classes: _Classes
) -> Iterator[tuple[int, np.ndarray]]:
    """The class of each object and its pixels, bool of shape (height, width). Raises ValueError for what is wrong."""
    numbers = None if mask is None else _numbers(mask, size, classes)
    if instance is None:
        if numbers is not None:
            yield from _components(numbers, classes)
        return
    ids = _ids(instance, size)
    for number in np.unique(ids[ids > 0]):
        pixels = ids == number
        if numbers is None:
            if len(classes.things) > 1:
                raise ValueError(f"{instance} has no mask of classes beside it, and there are {len(classes.things)}")
            yield 0, pixels
            continue
        found = [int(each) for each in np.unique(numbers[pixels]) if int(each) in classes.thing]
        if len(found) != 1:
            shown = listed([classes.names[each] for each in found]) or BACKGROUND
            raise ValueError(f"{instance}: object {number} is of the class {shown} in {mask}, and not of one class")
        yield classes.thing[found[0]], pixels


def _components(numbers: np.ndarray, classes: _Classes) -> Iterator[tuple[int, np.ndarray]]:
    from scipy import ndimage

    for number, thing in classes.thing.items():
        labels, count = ndimage.label(numbers == number, structure=np.ones((3, 3)))
        for each in range(1, count + 1):
            yield thing, labels == each


def _numbers(mask: Path, size: tuple[int, int], classes: _Classes) -> np.ndarray:
    """The number of the class of each pixel, -1 for none: int64 of shape (height, width)."""
    with _opened(mask, size) as image:
        if image.mode in ("RGB", "RGBA") or (image.mode == "P" and classes.palette is not None):
            return _by_colour(mask, np.asarray(image.convert("RGB")), classes)
        if image.mode not in ("P", "L", "1"):
            raise ValueError(f"{mask} is in the mode {image.mode}, and neither a palette, grey nor RGB")
        values = np.asarray(image).astype(np.int64)
    wrong = np.unique(values[(values >= len(classes.names)) & (values != IGNORED)])
    if len(wrong):
        raise ValueError(
            f"{mask} has pixels of the number {wrong[0]}, and the {len(classes.names)} classes go from 0 to "
            f"{len(classes.names) - 1}: {listed(list(classes.names))}"
        )
    return np.where(values >= len(classes.names), -1, values)


def _by_colour(mask: Path, pixels: np.ndarray, classes: _Classes) -> np.ndarray:
    if classes.palette is None:
        raise ValueError(f"{mask} has colours, and there is no palette that says which class has which")
    packed = pixels.astype(np.int64) @ np.array([65536, 256, 1])
    found, inverse = np.unique(packed, return_inverse=True)
    numbers = []
    for value in found.tolist():
        colour = (value >> 16, value >> 8 & 255, value & 255)
        if colour not in classes.colours:
            raise ValueError(f"{mask} has pixels of the colour {list(colour)}, which no class has in the palette")
        numbers.append(classes.colours[colour])
    return np.array(numbers)[inverse].reshape(packed.shape)


def _ids(instance: Path, size: tuple[int, int]) -> np.ndarray:
    """The number of the object of each pixel, 0 for none: int64 of shape (height, width)."""
    with _opened(instance, size) as image:
        if image.mode not in ("P", "L", "1") and not image.mode.startswith("I"):
            raise ValueError(f"{instance} is in the mode {image.mode}, and no mask of whole numbers")
        values = np.asarray(image).astype(np.int64)
        return np.where(values == IGNORED, 0, values) if image.mode in ("P", "L") else values


def _opened(mask: Path, size: tuple[int, int]) -> Image.Image:
    try:
        image = Image.open(mask)
        image.load()
    except FAULTS as error:
        raise ValueError(f"{mask} cannot be read: {error}") from None
    if image.size != size:
        raise ValueError(f"{mask} is {image.width} × {image.height} pixels, and its image {size[0]} × {size[1]}")
    return image


PALETTE = Format(
    "masks in PNG files",
    "train.txt with the folders images and masks",
    frozenset({"boxes", "masks"}),
    find,
    read,
)
