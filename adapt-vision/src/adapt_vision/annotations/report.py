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

SHOWN = 6
SURE = 0.5


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
    return Inspected(
        split,
        keys=[each.sha256 for each in rows.found],
        labels=rows.counts(names),
        examples=[Section("As the model sees them", "images", [], cells)] if cells else [],
    )


def spread(count: int, shown: int) -> list[int]:
    """So many row numbers, at even distances."""
    return sorted(set(np.linspace(0, count - 1, min(shown, count)).astype(int).tolist()))
