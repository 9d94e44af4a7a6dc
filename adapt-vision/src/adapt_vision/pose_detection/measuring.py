"""How well keypoints are found: COCO's average precision by object keypoint similarity, and PCK."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapt_core.bundles import Evaluated
from adapt_core.interfaces import World
from adapt_vision.annotations.measuring import known
from adapt_vision.pose_detection.instances import Instances

NAMES = ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar", "ar50", "ar75", "ar_medium", "ar_large")
"""``COCOeval.stats`` of keypoints: at a similarity of 0.50 to 0.95, 0.50, 0.75; by size; recall alike."""

NEAR = 0.1
"""Of the longer edge of the box: PCK counts keypoints that are found as near as this."""


@dataclass(frozen=True)
class Measured:
    """What a report needs of an evaluation.

    Attributes:
        found: of each row x, y and score of the keypoints, of shape (keypoints, 3).
        pck: of each keypoint; NaN where none is annotated.
        error: mean distance of each keypoint in pixels; NaN where none is annotated.
    """

    found: Mapping[int, np.ndarray]
    pck: Sequence[float]
    error: Sequence[float]


class PoseMeter:
    """Average precision and PCK. It keeps the keypoints of each object, and nothing of the size of its crop.

    Args:
        instances: the objects that are evaluated.
    """

    def __init__(self, instances: Instances) -> None:
        self.instances = instances
        self.found: dict[int, np.ndarray] = {}

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Takes in ``found`` of the outputs, one a row, whose numbers are the batch's ``rows``."""
        for row, each in zip(batch["rows"].tolist(), outputs["found"], strict=True):
            self.found[row] = each

    def result(self, world: World) -> Evaluated:
        """``pck``, and COCO's metrics as far as the data has objects for them."""
        found = {row: each for part in world.gather(self.found) for row, each in part.items()}
        distances, edges, annotated = _distances(self.instances, found)
        near = distances <= NEAR * edges[:, None]
        pck, error = (_means(values, annotated) for values in (near, distances))
        metrics = {"pck": float(near[annotated].mean()), **keypoint_precision(self.instances, found)}
        names = self.instances.form.names
        told = {
            name: {"pck": known(near_it), "error": known(distance)}
            for name, near_it, distance in zip(names, pck, error, strict=True)
        }
        return Evaluated(metrics, Measured(found, pck, error), {"by_keypoint": told})


def _means(values: np.ndarray, counted: np.ndarray) -> list[float]:
    """Of each column; NaN where nothing counts."""
    columns = zip(values.T, counted.T, strict=True)
    return [float(each[which].mean()) if which.any() else float("nan") for each, which in columns]


def _distances(instances: Instances, found: Mapping[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances in pixels, of shape (rows, keypoints); the boxes' longer edges; and which keypoints are annotated."""
    truth = np.array([each.keypoints for each in instances], dtype=np.float64)
    places = np.stack([found[row][:, :2] for row in range(len(instances))])
    edges = np.array([max(each.box[2:]) for each in instances])
    return np.linalg.norm(places - truth[..., :2], axis=-1), edges, truth[..., 2] > 0


def score_of(keypoints: np.ndarray) -> float:
    """The score of an object: the mean of its keypoints'."""
    return float(keypoints[:, 2].mean())


def keypoint_precision(instances: Instances, found: Mapping[int, np.ndarray]) -> dict[str, float]:
    """COCO's metrics of keypoints (https://cocodataset.org/#keypoints-eval), with the sigmas of the data.

    Crowds and objects without annotated keypoints count as COCO has it: what is found there is no mistake.

    Args:
        instances: what there is.
        found: of each row x, y and score of the keypoints, of shape (keypoints, 3).
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images, count = instances.images, len(instances.form.names)
    categories = sorted({one.category for objects in images.objects for one in objects})
    truth = COCO()
    truth.dataset = {
        "images": [{"id": row} for row in range(len(images))],
        "categories": [{"id": each} for each in categories],
        "annotations": [
            {
                "image_id": row,
                "category_id": each.category,
                "bbox": list(each.box),
                "area": each.area,
                "iscrowd": int(each.crowd),
                "keypoints": [value for point in each.keypoints for value in point] or [0] * 3 * count,
                "num_keypoints": sum(point[2] > 0 for point in each.keypoints),
            }
            for row, objects in enumerate(images.objects)
            for each in objects
        ],
    }
    for number, each in enumerate(truth.dataset["annotations"], 1):
        each["id"] = number  # from 1: COCOeval takes 0 for "matched with nothing"
    results = [
        {
            "image_id": instances.places[row][0],
            "category_id": instances[row].category,
            "keypoints": keypoints.reshape(-1).tolist(),
            "score": score_of(keypoints),
        }
        for row, keypoints in found.items()
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints tables
        truth.createIndex()
        measured = COCOeval(truth, truth.loadRes(results), "keypoints")
        measured.params.kpt_oks_sigmas = np.array(instances.form.sigmas)
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    return {name: float(value) for name, value in zip(NAMES, measured.stats, strict=True) if value >= 0}
