"""Masks in COCO's run-length encoding, through pycocotools."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

OVERHANG = 1.0
"""Pixels by which a shape may reach beyond its image: annotation tools count edges in different ways."""

Size = tuple[int, int]
"""Width and height of an image, in pixels."""


def encoded(pixels: np.ndarray) -> str:
    """The compressed encoding of a mask of shape (height, width); what is not zero belongs to it."""
    from pycocotools import mask

    counts: bytes = mask.encode(np.asfortranarray(pixels != 0, dtype=np.uint8))["counts"]
    return counts.decode("ascii")


def decoded(counts: str, size: Size) -> np.ndarray:
    """The mask of an encoding: bool, of shape (height, width).

    Raises:
        ValueError: it is damaged, or of an image of another size.
    """
    lengths = _lengths(counts)
    if lengths is None or sum(lengths) != size[0] * size[1]:
        raise ValueError(f"{_short(counts)} is no mask of {size[0]} × {size[1]} pixels")
    runs = np.arange(len(lengths)) % 2 == 1  # what does not belong to it comes first
    return np.repeat(runs, lengths).reshape(size[0], size[1]).T


def area_of(counts: str, size: Size) -> int:
    """How many pixels belong to a mask."""
    from pycocotools import mask

    return int(mask.area(_run_lengths(counts, size)))


def box_of(counts: str, size: Size) -> tuple[float, float, float, float]:
    """Left, top, width and height of what belongs to a mask."""
    from pycocotools import mask

    left, top, width, height = map(float, mask.toBbox(_run_lengths(counts, size)))
    return left, top, width, height


def _run_lengths(counts: str, size: Size) -> dict[str, Any]:
    return {"size": [size[1], size[0]], "counts": counts.encode("ascii")}


def mask_of(segmentation: Any, size: Size) -> str:
    """The encoding of COCO's ``segmentation``, in which :func:`why_not_a_mask` has found no fault.

    Args:
        segmentation: polygons, whose union it is, or run lengths, compressed or not.
        size: of the image.
    """
    from pycocotools import mask

    width, height = size
    if isinstance(segmentation, Mapping):
        if isinstance(segmentation["counts"], str):
            return segmentation["counts"]
        made = mask.frPyObjects(dict(segmentation), height, width)
    else:
        made = mask.merge(mask.frPyObjects([list(map(float, each)) for each in segmentation], height, width))
    counts: bytes = made["counts"]
    return counts.decode("ascii")


def why_not_a_mask(segmentation: Any, size: Size) -> str | None:
    """What is wrong with COCO's ``segmentation`` of an image."""
    if isinstance(segmentation, Mapping):
        return _why_not_run_lengths(segmentation, size)
    if not isinstance(segmentation, list) or not segmentation:
        return f"segmentation is {_short(segmentation)}, and neither a list of polygons nor run lengths"
    for place, polygon in enumerate(segmentation):
        if fault := why_not_a_polygon(polygon, size):
            return f"polygon {place} of its segmentation {fault}"
    return None


def why_not_a_polygon(polygon: Any, size: Size) -> str | None:
    """What is wrong with a list of x, y, x, y, … in pixels of an image."""
    if not isinstance(polygon, list) or not all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) for value in polygon
    ):
        return f"is {_short(polygon)}, and no list of numbers"
    if len(polygon) < 6 or len(polygon) % 2:
        return f"has {len(polygon)} numbers, and not two for each of three points or more"
    for values, edge, name in ((polygon[::2], size[0], "width"), (polygon[1::2], size[1], "height")):
        out = [value for value in values if not -OVERHANG <= value <= edge + OVERHANG]
        if out:
            return f"reaches to {out[0]:g}, out of its image, whose {name} is {edge}"
    return None


def _why_not_run_lengths(segmentation: Mapping[str, Any], size: Size) -> str | None:
    width, height = size
    stated, counts = segmentation.get("size"), segmentation.get("counts")
    if stated != [height, width]:
        return f"its run lengths are of a mask of height and width {stated!r}, and its image is {width} × {height}"
    if isinstance(counts, str):
        lengths = _lengths(counts)
        if lengths is None:
            return f"its compressed run lengths, {_short(counts)}, are damaged"
    elif isinstance(counts, list) and all(isinstance(each, int) and not isinstance(each, bool) for each in counts):
        lengths = counts
    else:
        return f"counts of its segmentation is {_short(counts)}, and no run lengths"
    if any(each < 0 for each in lengths):
        return "one of its run lengths is negative"
    if sum(lengths) != width * height:
        return f"its run lengths are of {sum(lengths):,} pixels, and its image has {width * height:,}"
    return None


def _lengths(counts: str) -> Sequence[int] | None:
    """The run lengths in a compressed encoding; None where it is none.

    Five bits a character, the lowest first; from the fourth length on, each is the difference from that before the last
    one (``rleToString`` of COCO's maskApi.c). It is not left to pycocotools, which reads past the end of a damaged one.
    """
    lengths: list[int] = []
    value, shift = 0, 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value, shift = 0, 0
    return None if shift else lengths


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
