"""What every reader of annotations is asked for, and what they share."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.units import listed
from adapt_vision.annotations.masks import OVERHANG, Size
from adapt_vision.annotations.objects import Split, Wanted
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.data.decoding import FAULTS, ON_THEIR_SIDE, ORIENTATION, is_image

SHOWN = 20

ROLE_KEYS = {"train": "train_ann_file", "validation": "val_ann_file", "test": "test_ann_file"}
"""The option that names the annotations of each split."""

Named = Mapping[str, str | None]
"""What a configuration names for each split."""


@dataclass(frozen=True)
class Reading:
    """What is asked of a reader.

    Attributes:
        folder: of the data set.
        role: of the split: ``train``, ``validation`` or ``test``.
        options: the ``dataset`` section.
        wanted: what is read of objects, beside their boxes.
        classes: the names that the training split has, where this is another one.
    """

    folder: Path
    role: str
    options: AnnotatedImageOptions
    wanted: Wanted
    classes: Sequence[str] | None = None


@dataclass(frozen=True)
class Format:
    """A way in which annotations are written.

    Attributes:
        title: as people call it.
        layout: the files by which it is found, for messages.
        gives: what it holds of objects.
        find: from the folder of a data set, and what a configuration names there, to the file or folder of each split.
            It raises UsageError where what is named is not there.
        read: one of these.
    """

    title: str
    layout: str
    gives: frozenset[Wanted]
    find: Callable[[Path, Named], dict[str, Path]]
    read: Callable[[Path, Reading], Split]


CORRECT = "Correct these entries, or remove them."


def require(source: Path | str, faults: Sequence[str], remedy: str = CORRECT) -> None:
    """Raises AdaptError with the faults, up to twenty, where there are any."""
    if not faults:
        return
    shown = "\n".join(f"  {each}" for each in faults[:SHOWN])
    more = f"\n  and {len(faults) - SHOWN:,} more" if len(faults) > SHOWN else ""
    raise AdaptError(f"{source} is malformed:\n{shown}{more}", remedy)


def require_class_list(source: Path, names: Sequence[str], options: AnnotatedImageOptions) -> None:
    """Raises AdaptError where a configuration lists other classes than a file, or in another order."""
    if options.class_list is not None and list(options.class_list) != list(names):
        raise AdaptError(
            f"dataset.class_list (class_list) is {listed(options.class_list)}, and the classes of {source} are "
            f"{listed(list(names))}.",
            "Give the classes of the file in its order, or none: the file names them.",
        )


def named_file(folder: Path, name: str, role: str, *places: str) -> Path:
    """The file or folder that a configuration names, in the folder or at one of the places in it."""
    tried = [folder / name, *(folder / each / name for each in places)]
    for each in tried:
        if each.exists():
            return each
    raise UsageError(
        f"There is no file {' or '.join(map(str, tried))}, which dataset.{ROLE_KEYS[role]} names.", "Check the name."
    )


def text_of(path: Path) -> str:
    """The text of a file. Raises AdaptError where it cannot be read."""
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", "Check the path.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise AdaptError(f"{path} cannot be read: {error}", "Check that it is text in UTF-8.") from error


def mapping_of(path: Path) -> dict[Any, Any]:
    """What a YAML or JSON file says. Raises AdaptError where it is none, or no mapping."""
    text = text_of(path)
    try:
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise AdaptError(f"{path} cannot be read: {error}", "Check that it is whole.") from error
    if not isinstance(content, dict):
        raise AdaptError(f"{path} holds a {type(content).__name__}, and no keys with values.", "Check the file.")
    return content


def lines_of(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are not empty, with their numbers."""
    return [(number, line.strip()) for number, line in enumerate(text_of(path).splitlines(), 1) if line.strip()]


def listed_names(path: Path) -> list[str]:
    """The names in a list of images, one a line. Raises AdaptError where one comes twice, or there is none."""
    names: dict[str, int] = {}
    faults = []
    for number, name in lines_of(path):
        if name in names:
            faults.append(f"line {number}: {name} is listed already in line {names[name]}")
        names[name] = number
    require(path, faults)
    if not names:
        raise AdaptError(f"{path} names no images.", "Check that it was written completely.")
    return list(names)


def image_called(name: str, folders: Sequence[Path]) -> Path | None:
    """The image of a name, with or without its ending, in the first of the folders that has one."""
    for folder in folders:
        if is_image(folder / name) and (folder / name).is_file():
            return folder / name
    for folder in folders:
        named = sorted(folder.glob(f"{_plain(name)}.*"))
        found = [each for each in named if each.stem == Path(name).name and is_image(each)]
        if found:
            return found[0]
    return None


def _plain(name: str) -> str:
    return "".join(f"[{each}]" if each in "*?[" else each for each in name)


def size_of(path: Path) -> Size | None:
    """Width and height of an image as it is seen; None where it cannot be read, which is found out later."""
    try:
        with Image.open(path) as opened:
            width, height = opened.size
            turned = opened.getexif().get(ORIENTATION) in ON_THEIR_SIDE
    except FAULTS:
        return None
    return (height, width) if turned else (width, height)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def why_not_four_numbers(box: Any) -> str | None:
    """Why a value is no left, top, width and height."""
    if isinstance(box, list) and len(box) == 4 and all(map(is_number, box)):
        return None
    return f"bbox is {box!r}, and not four numbers: left, top, width, height"


def why_not_a_box(box: Sequence[float], size: Size | None, image: str) -> str | None:
    """Why left, top, width and height are no box in an image, whose size may be unknown."""
    left, top, width, height = box
    told = f"bbox [{', '.join(f'{value:g}' for value in box)}]"
    if width <= 0 or height <= 0:
        return f"{told} is empty"
    if left < -OVERHANG or top < -OVERHANG:
        return f"{told} reaches out of its image, {image}"
    if size is None:
        return None
    if left + width > size[0] + OVERHANG or top + height > size[1] + OVERHANG:
        return f"{told} reaches out of its image, {image}, of {size[0]} × {size[1]} pixels"
    if left >= size[0] or top >= size[1]:
        return f"{told} lies outside its image, {image}"
    return None


def within(box: Sequence[float], size: Size | None) -> tuple[float, float, float, float]:
    """A box, cut at the edges of its image."""
    left, top, width, height = map(float, box)
    edges = (math.inf, math.inf) if size is None else size
    left, width = _cut(left, width, float(edges[0]))
    top, height = _cut(top, height, float(edges[1]))
    return left, top, width, height


def _cut(start: float, length: float, edge: float) -> tuple[float, float]:
    """What is between 0 and an edge. A length that needs no cut stays as it is, to the last bit."""
    if start >= 0 and start + length <= edge:
        return start, length
    first = max(start, 0.0)
    return first, min(start + length, edge) - first
