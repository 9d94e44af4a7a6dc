"""Predictions in COCO's results format give pycocotools what ``adapt eval`` measures."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated_contract import METHODS, planned
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import adapt_core
from adapt_core.errors import AdaptError

TASKS = {
    # of each the fixtures of configuration, models and data, the model, and what COCOeval measures
    "boxes": ("detection", "detectors", "objects", "rt_detr", "bbox"),
    "masks": ("segmentation", "segmenters", "objects", "rf_detr", "segm"),
    "keypoints": ("pose", "estimators", "poses", "simple", "keypoints"),
}


def annotated_near(found: Sequence[dict[str, Any]], content: dict[str, Any]) -> dict[str, Any]:
    """Annotations near what was found, so that a model that has learnt nothing is right now and then."""
    sizes = {each["id"]: (each["width"], each["height"]) for each in content["images"]}
    draw, made = np.random.default_rng(0), []
    for number, each in enumerate(found, 1):
        edges = sizes[each["image_id"]]
        box = [0.0, 0.0, *map(float, edges)]
        if "bbox" in each:
            corner = np.clip(each["bbox"][:2], 0, None)
            size = np.minimum(np.add(each["bbox"][:2], each["bbox"][2:]), edges) - corner
            box = [*corner.tolist(), *(size * draw.uniform(0.7, 1, 2)).tolist()]
        if "keypoints" in each:
            points = np.reshape(each["keypoints"], (-1, 3))[:, :2] + draw.uniform(-3, 3, (4, 2))
            points = np.column_stack([points.clip(0, edges), [2] * 4]).reshape(-1).tolist()
            each = {**each, "keypoints": points, "num_keypoints": 4}
            box = content["annotations"][number - 1]["bbox"]  # which the model has seen
        made.append({**each, "id": number, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
    return {**content, "annotations": made}


@pytest.mark.parametrize("what", TASKS)
def test_pycocotools_measures_what_adapt_eval_does(
    what: str, request: pytest.FixtureRequest, adapt: Any, tmp_path: Path, no_reload: None
) -> None:
    configuration, models, source, model, kind = TASKS[what]
    made = {
        **request.getfixturevalue(configuration),
        "model": request.getfixturevalue(models)[model],
        "output_dir": str(tmp_path / "run"),
    }
    made["training"] = {**made["training"], "max_steps": 1, "do_eval": False, "eval_batch_size": 1}
    adapt_core.run(made)
    folder = shutil.copytree(request.getfixturevalue(source), tmp_path / "data")
    file, run = folder / "annotations" / "val.json", str(tmp_path / "run")
    first = adapt("predict", run, "--input", str(file), "-O", "threshold=0", "-O", "format=coco")
    near = annotated_near(first if what == "keypoints" else first[::3], json.loads(file.read_text()))
    file.write_text(json.dumps(near))
    output = tmp_path / "results.json"
    adapt("predict", run, "--input", str(file), "-O", "threshold=0", "-O", "format=coco", "--output", str(output))
    told = adapt("eval", run, "--data", str(folder), "--split", "validation")
    metrics = told["metrics"]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(file))
        measured = COCOeval(truth, truth.loadRes(str(output)), kind)
        if what == "keypoints":
            measured.params.kpt_oks_sigmas = np.full(4, 0.05)
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    if what != "keypoints":
        precision = measured.eval["precision"][:, :, :, 0, -1]  # all sizes, 100 objects; the axis that is left: classes
        for place, name in enumerate(("red", "green")):
            there = any(each["category_id"] == (3, 7)[place] for each in near["annotations"])
            expected = pytest.approx(precision[:, :, place].mean(), abs=1e-4) if there else None
            assert told["by_class"][name]["ap"] == expected
    assert {each["image_id"] for each in json.loads(output.read_text())} == {10, 11, 12, 13}
    assert metrics["ap"] == pytest.approx(measured.stats[0], abs=1e-4) and 0.05 < metrics["ap"] < 0.99
    assert metrics["ap50"] == pytest.approx(measured.stats[1], abs=1e-4)
    for name, place in (("ap_medium", 4 - (what == "keypoints")), ("ap_large", 5 - (what == "keypoints"))):
        assert metrics.get(name, -1) == pytest.approx(measured.stats[place], abs=1e-4)


def test_images_without_ids_are_numbered_from_one(
    detection: dict[str, Any], objects: Path, tmp_path: Path, no_reload: None
) -> None:
    training = {**detection["training"], "max_steps": 1, "do_eval": False}
    adapt_core.run(
        {**detection, "method": METHODS["last_layer"], "training": training, "output_dir": str(tmp_path / "run")}
    )
    run = adapt_core.load_run(tmp_path / "run")
    found = run.predict([str(objects / "val")], threshold=0.0, format="coco")
    assert set(found[0]) == {"image_id", "category_id", "bbox", "score", "file_name"}
    numbers = {each["file_name"]: each["image_id"] for each in found}
    assert numbers == {str(objects / "val" / f"val{number}.png"): number + 1 for number in range(4)}
    by_image = run.predict([str(objects / "val")], threshold=0.0)
    assert [each["bbox"] for each in found] == [one["bbox"] for each in by_image for one in each["objects"]]
    assert {each["category_id"] for each in found} <= {3, 7}


def test_cocos_files_of_images_are_read_without_annotations(
    detection: dict[str, Any], objects: Path, tmp_path: Path
) -> None:
    task = planned(detection, tmp_path)
    images = [{"id": 70, "file_name": "val2.png"}, {"id": 4, "file_name": "val0.png"}]
    file = tmp_path / "val.json"
    (tmp_path / "val").symlink_to(objects / "val")
    file.write_text(json.dumps({"images": images}))
    assert task.parse_inputs([], file, {}) == [
        {"image": str(tmp_path / "val" / each["file_name"]), "image_id": each["id"]} for each in images
    ]
    for content, message in (
        ({"images": [*images, images[0]]}, "2 images have the id 70"),
        ({"images": [*images, {"id": 5, "file_name": "nix.png"}]}, r"1 of 3 images are not in .*val: nix\.png"),
        ({"annotations": []}, "has no 'images'"),
    ):
        file.write_text(json.dumps(content))
        with pytest.raises(AdaptError, match=message):
            task.parse_inputs([], file, {})


def test_a_result_without_a_category_is_refused(pose: dict[str, Any], tmp_path: Path) -> None:
    task = planned(pose, tmp_path)
    from adapt_vision.pose_detection.options import PoseDetectionPrediction

    found = {"image": "a.png", "objects": [{"keypoints": [1, 2, 0.5], "score": 0.5}]}
    with pytest.raises(AdaptError, match=r"a\.png: an object has no category_id"):
        list(task.results(found, 1, PoseDetectionPrediction(format="coco")))
