"""Reads a line of YOLO's text files: the number of a class, and a box, an outline or a box with keypoints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from adapt_vision.annotations.masks import Size, area_of, mask_of, why_not_a_polygon
from adapt_vision.annotations.objects import Annotation
from adapt_vision.annotations.reading import Reading, why_not_a_box, within


@dataclass(frozen=True)
class YoloForm:
    """What the YAML file says of objects.

    Attributes:
        names: of the classes.
        points: how many keypoints an object has; 0 where it has none.
        numbers: of each keypoint, 2 or 3.
    """

    names: Sequence[str]
    points: int
    numbers: int


def object_in(line: str, form: YoloForm, reading: Reading, size: Size, image: str) -> Annotation | str:
    """The object of a line, or what is wrong with it."""
    words = line.split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        return f"{line[:60]!r} has more than numbers"
    if not all(map(math.isfinite, values)):
        return f"{line[:60]!r} has numbers that are not finite"
    if values[0] != int(values[0]) or not 0 <= values[0] < len(form.names):
        return f"the class is {words[0]}, and the {len(form.names)} classes go from 0 to {len(form.names) - 1}"
    category, rest = int(values[0]), values[1:]
    if form.points:
        return _with_keypoints(category, rest, form, reading, size, image)
    if len(rest) == 4:
        if reading.wanted == "masks":
            return "there is a box and no outline, which masks are made of"
        return _boxed(category, rest, size, image)
    if len(rest) < 6 or len(rest) % 2:
        return f"there are {len(rest)} numbers behind the class, and not 4 of a box or pairs of an outline"
    return _outlined(category, rest, reading, size, image)


def _boxed(category: int, rest: Sequence[float], size: Size, image: str) -> Annotation | str:
    if wrong := [value for value in rest if not 0 <= value <= 1]:
        return f"{wrong[0]:g} is not between 0 and 1: positions are parts of the image's width and height"
    x, y, w, h = rest[0] * size[0], rest[1] * size[1], rest[2] * size[0], rest[3] * size[1]
    box = (x - w / 2, y - h / 2, w, h)
    if fault := why_not_a_box(box, size, image):
        return fault
    box = within(box, size)
    return Annotation(0, category, box, box[2] * box[3])


def _outlined(category: int, rest: Sequence[float], reading: Reading, size: Size, image: str) -> Annotation | str:
    if wrong := [value for value in rest if not 0 <= value <= 1]:
        return f"{wrong[0]:g} is not between 0 and 1: positions are parts of the image's width and height"
    polygon = [value * size[place % 2] for place, value in enumerate(rest)]
    if fault := why_not_a_polygon(polygon, size):
        return f"its outline {fault}"
    left, top = min(polygon[::2]), min(polygon[1::2])
    box = (left, top, max(polygon[::2]) - left, max(polygon[1::2]) - top)
    if fault := why_not_a_box(box, size, image):
        return fault
    mask = mask_of([polygon], size)
    area = area_of(mask, size)
    if reading.wanted != "masks":
        return Annotation(0, category, box, float(area or box[2] * box[3]))
    return Annotation(0, category, box, float(area), mask=mask) if area else "its outline has no pixels"


def _with_keypoints(
    category: int, rest: Sequence[float], form: YoloForm, reading: Reading, size: Size, image: str
) -> Annotation | str:
    if len(rest) != 4 + form.points * form.numbers:
        return (
            f"there are {len(rest)} numbers behind the class, and not 4 of a box and {form.numbers} for each of "
            f"{form.points} keypoints"
        )
    if reading.wanted == "masks":
        return "there are a box and keypoints and no outline, which masks are made of"
    made = _boxed(category, rest[:4], size, image)
    if isinstance(made, str) or reading.wanted != "keypoints":
        return made
    points = []
    for place, values in enumerate(_chunks(rest[4:], form.numbers)):
        visible = values[2] if form.numbers == 3 else 2 * (values[0] >= 0 and values[1] >= 0)
        if visible not in (0, 1, 2):
            return f"the visibility of keypoint {place} is {visible:g}, and not 0, 1 or 2"
        if visible and not all(0 <= value <= 1 for value in values[:2]):
            return f"keypoint {place} is at ({values[0]:g}, {values[1]:g}), out of its image: positions are parts of it"
        points.append((values[0] * size[0], values[1] * size[1], int(visible)) if visible else (0.0, 0.0, 0))
    return replace(made, keypoints=tuple(points))


def _chunks(values: Sequence[float], length: int) -> Iterator[Sequence[float]]:
    return (values[start : start + length] for start in range(0, len(values), length))
