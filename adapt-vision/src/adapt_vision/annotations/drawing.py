"""Shows objects on their images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from adapt_vision.annotations.masks import decoded

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")
"""Of the classes, in turn."""

EDGE = 320
"""Pixels of a small picture's longer edge."""

OPACITY = 140
"""Of a mask, of 255."""
RADIUS = 3
"""Of the dot of a keypoint, in pixels."""

VISIBLE = 2
"""COCO's number for keypoints that are not hidden."""


@dataclass(frozen=True)
class Shown:
    """An object to draw.

    Attributes:
        box: left, top, width and height in pixels; None where it is not shown.
        category: the place of its class.
        text: what to write at it.
        mask: its pixels in COCO's compressed run-length encoding, over the whole image; drawn instead of the box.
        keypoints: x, y and visibility of each; those that are not visible (0) are left out.
        skeleton: places of the keypoints that a line joins.
    """

    box: Sequence[float] | None
    category: int
    text: str
    mask: str | None = None
    keypoints: Sequence[tuple[float, float, int]] = ()
    skeleton: Sequence[tuple[int, int]] = ()


def drawn(image: Image.Image, objects: Sequence[Shown], edge: int | None = None) -> Image.Image:
    """The image with boxes, masks or skeletons; reduced to a longer edge of ``edge`` pixels where it is larger.

    Boxes have the colour of their class. Masks each have the next one, so that those that touch are told apart.
    """
    picture = image.copy()
    if edge is not None:
        picture.thumbnail((edge, edge))
    scale = picture.width / image.width, picture.height / image.height
    pen = ImageDraw.Draw(picture)
    for number, each in enumerate(objects):
        colour = COLOURS[(each.category if each.mask is None else number) % len(COLOURS)]
        if each.mask is not None:
            shade = Image.fromarray(decoded(each.mask, image.size).astype(np.uint8) * OPACITY)
            picture.paste(colour, (0, 0), shade.resize(picture.size, Image.Resampling.NEAREST))
        if each.box is not None:
            left, top, width, height = each.box
            corners = (left * scale[0], top * scale[1], (left + width) * scale[0], (top + height) * scale[1])
            if each.mask is None:
                pen.rectangle(corners, outline=colour, width=2)
            if each.mask is None or corners[2] - corners[0] >= pen.textlength(each.text):
                pen.text((corners[0] + 3, corners[1] + 1), each.text, fill=colour if each.mask is None else "white")
        _draw_pose(pen, [(x * scale[0], y * scale[1], seen) for x, y, seen in each.keypoints], each.skeleton, colour)
    return picture


def _draw_pose(
    pen: ImageDraw.ImageDraw,
    points: Sequence[tuple[float, float, int]],
    skeleton: Sequence[tuple[int, int]],
    colour: str,
) -> None:
    """Lines in the colour of the object, and dots in colours of their own: rings where a keypoint is hidden."""
    for one, other in skeleton:
        if points[one][2] and points[other][2]:
            pen.line((*points[one][:2], *points[other][:2]), fill=colour, width=2)
    for place, (x, y, seen) in enumerate(points):
        if seen:
            dot = COLOURS[place % len(COLOURS)]
            around = (x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS)
            pen.ellipse(around, fill=dot if seen == VISIBLE else None, outline=dot, width=1)


def beside(one: Image.Image, other: Image.Image) -> Image.Image:
    """Two pictures of one height, side by side."""
    both = Image.new("RGB", (one.width + other.width + 4, max(one.height, other.height)), "white")
    both.paste(one, (0, 0))
    both.paste(other, (one.width + 4, 0))
    return both


def jpeg(picture: Image.Image) -> bytes:
    """The file of a picture."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()
