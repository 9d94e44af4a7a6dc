"""COCO's average precision of boxes and of masks, through pycocotools."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adapt_core.bundles import Evaluated
from adapt_core.interfaces import World
from adapt_vision.annotations.masks import box_of
from adapt_vision.annotations.objects import AnnotatedImages

NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar_1", "ar_10", "ar_100")
"""What ``COCOeval.stats`` begins with: at IoU 0.50 to 0.95, 0.50, 0.75; by size; recall with 1, 10 and 100 boxes."""

MOST = 100
"""COCO counts so many boxes an image."""


@dataclass(frozen=True)
class Measured:
    """What a report needs of an evaluation.

    Attributes:
        by_class: average precision of each class; NaN where the data has none of it.
        found: of each row the best boxes, as rows of (left, top, width, height, score, class).
        masks: of each row the masks of these, in COCO's compressed run-length encoding; empty where there are none.
    """

    by_class: Sequence[float]
    found: Mapping[int, np.ndarray]
    masks: Mapping[int, Sequence[str]] = field(default_factory=dict)


class DetectionMeter:
    """Average precision of boxes. It keeps the best hundred boxes of each image, and nothing of its size.

    Args:
        rows: the images that are evaluated.
        names: of the classes.
    """

    def __init__(self, rows: AnnotatedImages, names: Sequence[str]) -> None:
        self.rows, self.names = rows, names
        self.found: dict[int, np.ndarray] = {}
        self.masks: dict[int, Sequence[str]] = {}

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Takes in ``found`` of the outputs, one a row, whose numbers are the batch's ``rows``."""
        for row, each in zip(batch["rows"].tolist(), outputs["found"], strict=True):
            self.found[row] = table(each)

    def result(self, world: World) -> Evaluated:
        """``ap``, ``ap50``, ``ap75``, and by size and recall, as far as the data has objects for them."""
        parts = world.gather((self.found, self.masks))
        found = {row: boxes for part, _ in parts for row, boxes in part.items()}
        masks = {row: each for _, part in parts for row, each in part.items()}
        metrics, by_class = average_precision(self.rows, found, len(self.names), masks)
        told = {name: {"ap": known(value)} for name, value in zip(self.names, by_class, strict=True)}
        return Evaluated(metrics, Measured(by_class, found, masks), {"by_class": told})


class MaskMeter(DetectionMeter):
    """Average precision of masks. It keeps the run lengths of the best hundred of each image, and no pixels."""

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Takes in ``found`` of the outputs, one a row, whose numbers are the batch's ``rows``."""
        for row, each in zip(batch["rows"].tolist(), outputs["found"], strict=True):
            self.found[row], self.masks[row] = mask_table(each, self.rows.found[row].size)


def known(value: float) -> float | None:
    """A measure as JSON has it: None where there was nothing to measure."""
    return None if np.isnan(value) else value


def mask_table(found: Mapping[str, Any], size: tuple[int, int]) -> tuple[np.ndarray, Sequence[str]]:
    """The best masks, the best first, with the boxes around them as :func:`table` has them.

    Args:
        found: ``masks`` in COCO's compressed run-length encoding, ``scores`` and ``labels`` of shape (n,).
        size: width and height of the image.
    """
    scores, labels = found["scores"].double().numpy(), found["labels"].numpy()
    best = np.argsort(-scores, kind="stable")[:MOST]
    masks = [found["masks"][place] for place in best]
    boxes = np.array([box_of(each, size) for each in masks]).reshape(-1, 4)
    return np.column_stack([boxes, scores[best], labels[best]]), masks


def table(found: Mapping[str, Any]) -> np.ndarray:
    """The best boxes, the best first: float64 of shape (n, 6): left, top, width, height, score and class."""
    boxes, scores = found["boxes"].double().numpy(), found["scores"].double().numpy()
    best = np.argsort(-scores, kind="stable")[:MOST]
    corners, size = boxes[best, :2], boxes[best, 2:] - boxes[best, :2]
    return np.column_stack([corners, size, scores[best], found["labels"].numpy()[best]])


def average_precision(
    rows: AnnotatedImages,
    found: Mapping[int, np.ndarray],
    classes: int,
    masks: Mapping[int, Sequence[str]] | None = None,
) -> tuple[dict[str, float], list[float]]:
    """COCO's metrics (Lin et al. 2014, arXiv:1405.0312), crowds and empty images as COCO counts them.

    Args:
        rows: what there is.
        found: what was found of each row, as :func:`table` gives it.
        classes: how many there are.
        masks: of what was found; where there are some, overlap is that of masks, and that of boxes elsewhere.

    Returns:
        The metrics, without those that no object counts for; and the average precision of each class.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = {
        "images": [{"id": row, "width": each.size[0], "height": each.size[1]} for row, each in enumerate(rows.found)],
        "categories": [{"id": each} for each in range(classes)],
        "annotations": list(_annotations(rows, with_masks=bool(masks))),
    }
    results: Any
    if masks:
        results = [
            {
                "image_id": row,
                "category_id": int(each[5]),
                "score": each[4],
                "segmentation": _run_lengths(rows, row, mask),
            }
            for row, boxes in found.items()
            for each, mask in zip(boxes, masks[row], strict=True)
        ]
    else:
        results = np.concatenate(
            [np.column_stack([np.full(len(boxes), row), boxes]) for row, boxes in found.items()] or [np.zeros((0, 7))]
        )
    with contextlib.redirect_stdout(io.StringIO()):  # it prints tables
        truth.createIndex()
        if not len(results):
            return dict.fromkeys(NAMES[:3], 0.0), [0.0] * classes
        measured = COCOeval(truth, truth.loadRes(results), "segm" if masks else "bbox")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    metrics = {name: float(value) for name, value in zip(NAMES, measured.stats, strict=False) if value >= 0}
    # precision: IoU thresholds × recalls × classes × sizes (all first) × numbers of boxes (100 last)
    precision = measured.eval["precision"][:, :, :, 0, -1]
    by_class = [
        float(values[values > -1].mean()) if (values > -1).any() else float("nan")
        for values in np.moveaxis(precision, 2, 0)
    ]
    return metrics, by_class


def _annotations(rows: AnnotatedImages, *, with_masks: bool) -> Iterator[dict[str, Any]]:
    """The objects of all rows as COCO has them, numbered from 1: COCOeval takes 0 for "matched with nothing"."""
    numbers = itertools.count(1)
    for row, objects in enumerate(rows.objects):
        for each in objects:
            yield {
                "id": next(numbers),
                "image_id": row,
                "category_id": each.category,
                "bbox": list(each.box),
                "area": each.area,
                "iscrowd": int(each.crowd),
                **({"segmentation": _run_lengths(rows, row, str(each.mask))} if with_masks else {}),
            }


def _run_lengths(rows: AnnotatedImages, row: int, mask: str) -> dict[str, Any]:
    width, height = rows.found[row].size
    return {"size": [height, width], "counts": mask}
