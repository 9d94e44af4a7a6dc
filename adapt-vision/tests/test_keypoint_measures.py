"""OKS and PCK against their equations and against pycocotools on files."""

from __future__ import annotations

import contextlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapt_core.interfaces import World
from adapt_vision.annotations.objects import AnnotatedImages, Annotation, KeypointForm
from adapt_vision.pose_detection.instances import Instances, instances_of
from adapt_vision.pose_detection.measuring import NAMES, PoseMeter

FORM = KeypointForm(("a", "b", "c"), (), (), (0.05, 0.1, 0.025))
BOX, AREA = (10.0, 20.0, 50.0, 100.0), 4000.0


def measured(instances: Instances, found: list[np.ndarray], batch_size: int = 2) -> Any:
    meter = PoseMeter(instances)
    for start in range(0, len(found), batch_size):
        rows = torch.arange(start, min(start + batch_size, len(found)))
        meter.update({"rows": rows}, {"found": [found[row] for row in rows]})
    return meter.result(World())


def images_with(*objects: list[Annotation]) -> AnnotatedImages:
    return AnnotatedImages("a.json", [f"{row}.png" for row in range(len(objects))], [], objects, FORM)


def annotation(number: int, points: Any, **further: Any) -> Annotation:
    return Annotation(number, 0, BOX, AREA, keypoints=tuple((x, y, v) for x, y, v in points), **further)


POINTS = [(20.0, 30.0, 2), (40.0, 60.0, 1), (50.0, 100.0, 2)]
RIGHT = np.array([[20.0, 30, 1], [40, 60, 1], [50, 100, 1]])


def test_all_right_is_one() -> None:
    found = measured(instances_of(images_with([annotation(1, POINTS)])), [RIGHT])
    assert found.metrics["pck"] == 1.0
    for name in ("ap", "ap50", "ap75", "ar"):
        assert found.metrics[name] == pytest.approx(1.0)
    assert "ap_large" not in found.metrics  # of 4,000 pixels there are medium objects alone


@pytest.mark.parametrize(("similarity", "precision"), [(0.72, 0.5), (0.93, 0.9), (0.49, 0.0)])
def test_average_precision_is_that_of_the_similarity(similarity: float, precision: float) -> None:
    """OKS of a single keypoint that is d away: exp(-d² / (2 s² k²)), where s² is the area and k twice the sigma."""
    wrong = RIGHT.copy()
    wrong[1, 0] += math.sqrt(-2 * AREA * (2 * FORM.sigmas[1]) ** 2 * math.log(similarity))
    wrong[0, 0] += 1000.0  # not annotated
    points = [(0.0, 0.0, 0), POINTS[1], (0.0, 0.0, 0)]
    found = measured(instances_of(images_with([annotation(1, points)])), [wrong])
    assert found.metrics["ap"] == pytest.approx(precision)  # the share of 0.50, 0.55, …, 0.95 that it reaches


def test_pck_is_the_share_within_a_tenth_of_the_longer_edge() -> None:
    near, far = RIGHT.copy(), RIGHT.copy()
    near[0, 0] += 9.9  # of a box 100 pixels high
    near[2, 1] += 10.1
    far[1, :2] += 100  # hidden, and counted
    images = images_with([annotation(1, POINTS)], [annotation(2, [(0, 0, 0), *POINTS[1:]])])
    found = measured(instances_of(images), [near, far])
    assert found.metrics["pck"] == pytest.approx(3 / 5)
    assert found.outputs.pck == [1.0, 0.5, 0.5]
    assert found.outputs.error == pytest.approx([9.9, math.hypot(100, 100) / 2, 10.1 / 2])


def test_metrics_are_those_of_pycocotools_on_files(tmp_path: Path) -> None:
    """Several objects an image, hidden keypoints, a crowd, one without keypoints, an empty image, two sizes."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    draw = np.random.default_rng(3)
    entries: list[dict[str, Any]] = []
    results, objects, found = [], [], []
    for row in range(6):
        here: list[Annotation] = []
        for place in range(0 if row == 4 else 3):
            edge = float(draw.uniform(40, 200))
            left, top = (float(each) for each in draw.uniform(0, 100, 2))
            seen, shares = draw.integers(0, 3, 3), draw.random((3, 2))
            points = tuple(
                (float(left + x * edge), float(top + y * edge), int(v)) for (x, y), v in zip(shares, seen, strict=True)
            )
            crowd, box, number = row == 2 and place == 0, (left, top, edge, edge), len(entries) + 1
            here.append(Annotation(number, row % 2, box, edge * edge, crowd, keypoints=points))
            entries.append(
                {
                    "id": number,
                    "image_id": row,
                    "category_id": row % 2,
                    "bbox": list(box),
                    "area": edge * edge,
                    "iscrowd": int(crowd),
                    "keypoints": [value for point in points for value in point],
                    "num_keypoints": int((seen > 0).sum()),
                }
            )
            if not crowd and seen.any():
                away = draw.normal(0, edge * 0.05, (3, 2))
                guess = np.column_stack([np.array(points)[:, :2] + away, draw.random(3)])
                found.append(guess)
                flat, score = guess.reshape(-1).tolist(), float(guess[:, 2].mean())
                results.append({"image_id": row, "category_id": row % 2, "keypoints": flat, "score": score})
        objects.append(here)
    categories = [{"id": each, "name": str(each), "keypoints": list(FORM.names)} for each in (0, 1)]
    content = {"images": [{"id": row} for row in range(6)], "annotations": entries, "categories": categories}
    (tmp_path / "a.json").write_text(json.dumps(content))
    (tmp_path / "b.json").write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "a.json"))
        other = COCOeval(truth, truth.loadRes(str(tmp_path / "b.json")), "keypoints")
        other.params.kpt_oks_sigmas = np.array(FORM.sigmas)
        other.evaluate()
        other.accumulate()
        other.summarize()
    ours = [measured(instances_of(images_with(*objects)), found, size).metrics for size in (1, 5)]
    assert ours[0] == ours[1]
    assert [ours[0][name] for name in NAMES] == pytest.approx(other.stats.tolist(), abs=1e-12)
    assert 0.05 < ours[0]["ap"] < 0.95
