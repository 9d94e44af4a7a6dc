"""Parts of the reports of tasks with annotated objects, and what ``adapt data`` shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from adapt_core.bundles import Inspected, Section
from adapt_vision.annotations.drawing import EDGE, Shown, beside, drawn, jpeg
from adapt_vision.annotations.measuring import Measured
from adapt_vision.annotations.objects import AnnotatedImages, Annotation
from adapt_vision.data.decoding import decode
from adapt_vision.data.inspection import formats, sizes, within

SHOWN = 6
SURE = 0.5

SMALL, LARGE = 32, 96
"""COCO's bounds of small and large objects: pixels of the edge of a square of their area."""


def truth_of(objects: Sequence[Annotation], names: Sequence[str]) -> list[Shown]:
    """Annotated objects, to draw."""
    return [
        Shown(each.box, each.category, names[each.category] + " (crowd)" * each.crowd, each.mask) for each in objects
    ]


def found_of(
    boxes: np.ndarray, names: Sequence[str], threshold: float, masks: Sequence[str] | None = None
) -> list[Shown]:
    """Found objects above a score, to draw, with their masks where there are some."""
    return [
        Shown(each[:4], int(each[5]), f"{names[int(each[5])]} {each[4]:.2f}", None if masks is None else masks[place])
        for place, each in enumerate(boxes)
        if each[4] >= threshold
    ]


def sections(measured: Measured, rows: AnnotatedImages, names: Sequence[str]) -> list[Section]:
    """Average precision by class, and images with what there is on the left and what was found on the right."""
    counts = rows.counts(names)
    cells = [
        [name, counts[name], "" if np.isnan(value) else f"{value:.3f}"]
        for name, value in zip(names, measured.by_class, strict=True)
    ]
    pictures = []
    for row in spread(len(rows), SHOWN):
        image = decode(rows.images[row])
        boxes = found_of(measured.found.get(row, np.zeros((0, 6))), names, SURE, measured.masks.get(row))
        truth = truth_of(rows.objects[row], names)
        both = beside(drawn(image, truth, EDGE), drawn(image, boxes, EDGE))
        pictures.append((jpeg(both), f"{len(truth)} annotated, {len(boxes)} found with a score of {SURE} or more"))
    return [
        Section("Average precision by class", "table", ["class", "objects", "AP"], cells),
        Section("Annotated (left) and found (right)", "images", [], pictures),
    ]


def inspected(
    split: str,
    rows: AnnotatedImages,
    names: Sequence[str],
    seen: Callable[[AnnotatedImages, int], tuple[Image.Image, Sequence[Annotation]]],
    examples: int,
) -> Inspected:
    """What a model will see of a split.

    Args:
        split: its name.
        rows: of the split.
        names: of the classes.
        seen: from the rows and the number of one to the image and the objects that the model sees.
        examples: how many to show, spread over the rows.
    """
    cells = []
    for row in spread(len(rows), examples):
        image, objects = seen(rows, row)
        cells.append((jpeg(drawn(image, truth_of(objects, names), EDGE)), f"{len(objects)} objects"))
    return told(split, rows, names, cells)


def told(split: str, rows: AnnotatedImages, names: Sequence[str], cells: Sequence[tuple[bytes, str]]) -> Inspected:
    """What there is in a split; ``cells`` are its examples: pictures with captions."""
    objects = [each for every in rows.objects for each in every]
    empty, crowds = sum(not every for every in rows.objects), sum(each.crowd for each in objects)
    notices = [f"{empty:,} images have no objects."] if empty else []
    notices += [f"{crowds:,} annotations are crowds: several objects that are not told apart."] if crowds else []
    return Inspected(
        split,
        keys=[each.sha256 for each in rows.found],
        lengths=[sum(not each.crowd for each in every) for every in rows.objects],
        unit="objects",
        labels=rows.counts(names),
        numbers={**sizes(rows.found), "longer edge of an object's box": [max(each.box[2:]) for each in objects]},
        counts={"format": formats(rows.found), "size of objects": _by_size(objects)},
        names=within(rows.images),
        examples=[Section(f"As the model sees them, {split}", "images", [], cells)] if cells else [],
        notices=notices,
    )


def _by_size(objects: Sequence[Annotation]) -> dict[str, int]:
    """How many objects COCO's metrics call small, medium and large, by their area."""
    small, large = (sum(each.area < edge**2 for each in objects) for edge in (SMALL, LARGE))
    names = (f"small (below {SMALL}² pixels)", "medium", f"large (from {LARGE}² pixels)")
    return dict(zip(names, (small, large - small, len(objects) - large), strict=True))


def spread(count: int, shown: int) -> list[int]:
    """So many row numbers, at even distances."""
    return sorted(set(np.linspace(0, count - 1, min(shown, count)).astype(int).tolist()))
