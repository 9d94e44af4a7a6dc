"""COCO's average precision, through pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapt_core.bundles import Evaluated
from adapt_core.interfaces import World
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
    """

    by_class: Sequence[float]
    found: Mapping[int, np.ndarray]


class DetectionMeter:
    """Average precision of boxes. It keeps the best hundred boxes of each image, and nothing of its size.

    Args:
        rows: the images that are evaluated.
        names: of the classes.
    """

    def __init__(self, rows: AnnotatedImages, names: Sequence[str]) -> None:
        self.rows, self.names = rows, names
        self.found: dict[int, np.ndarray] = {}

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Takes in ``found`` of the outputs, one a row, whose numbers are the batch's ``rows``."""
        for row, each in zip(batch["rows"].tolist(), outputs["found"], strict=True):
            self.found[row] = table(each)

    def result(self, world: World) -> Evaluated:
        """``ap``, ``ap50``, ``ap75``, and by size and recall, as far as the data has objects for them."""
        found = {row: boxes for part in world.gather(self.found) for row, boxes in part.items()}
        metrics, by_class = average_precision(self.rows, found, len(self.names))
        return Evaluated(metrics, Measured(by_class, found))


def table(found: Mapping[str, Any]) -> np.ndarray:
    """The best boxes, the best first: float64 of shape (n, 6): left, top, width, height, score and class."""
    boxes, scores = found["boxes"].double().numpy(), found["scores"].double().numpy()
    best = np.argsort(-scores, kind="stable")[:MOST]
    corners, size = boxes[best, :2], boxes[best, 2:] - boxes[best, :2]
    return np.column_stack([corners, size, scores[best], found["labels"].numpy()[best]])


def average_precision(
    rows: AnnotatedImages, found: Mapping[int, np.ndarray], classes: int
) -> tuple[dict[str, float], list[float]]:
    """COCO's metrics of boxes (Lin et al. 2014, arXiv:1405.0312), crowds and empty images as COCO counts them.

    Args:
        rows: what there is.
        found: what was found of each row, as :func:`table` gives it.
        classes: how many there are.

    Returns:
        The metrics, without those that no object counts for; and the average precision of each class.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = {
        "images": [{"id": row} for row in range(len(rows))],
        "categories": [{"id": each} for each in range(classes)],
        "annotations": [
            {
                "id": 0,
                "image_id": row,
                "category_id": each.category,
                "bbox": list(each.box),
                "area": each.area,
                "iscrowd": int(each.crowd),
            }
            for row, objects in enumerate(rows.objects)
            for each in objects
        ],
    }
    for number, each in enumerate(truth.dataset["annotations"], 1):
        each["id"] = number  # from 1: COCOeval takes 0 for "matched with nothing"
    results = np.concatenate(
        [np.column_stack([np.full(len(boxes), row), boxes]) for row, boxes in found.items()] or [np.zeros((0, 7))]
    )
    with contextlib.redirect_stdout(io.StringIO()):  # it prints tables
        truth.createIndex()
        if not len(results):
            return dict.fromkeys(NAMES[:3], 0.0), [0.0] * classes
        measured = COCOeval(truth, truth.loadRes(results), "bbox")
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
