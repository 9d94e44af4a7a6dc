"""Every kind of malformed keypoint data is an error before the model loads, which says what and where."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapt_core.errors import AdaptError, ConfigError
from adapt_core.plan.build import build_plan

Damage = Callable[[Path], dict[str, Any] | None]


def edited(change: Callable[[dict[str, Any]], Any], split: str = "train") -> Damage:
    """Changes what a split's JSON says."""

    def damage(folder: Path) -> None:
        path = folder / "annotations" / f"{split}.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return damage


def annotation(split: str = "train", **values: Any) -> Damage:
    """Gives the third annotation, of image train2.png, other values; ... removes one."""
    return edited(lambda content: _set(content["annotations"][2], values), split)


def category(split: str = "train", **values: Any) -> Damage:
    return edited(lambda content: _set(content["categories"][0], values), split)


def keypoint(place: int, value: Any) -> Damage:
    return edited(lambda content: content["annotations"][2]["keypoints"].__setitem__(place, value))


def _set(entry: dict[str, Any], values: dict[str, Any]) -> None:
    for key, value in values.items():
        if value is ...:
            del entry[key]
        else:
            entry[key] = value


def normalised(content: dict[str, Any]) -> None:
    """Keypoints as parts of the image, which COCO's are not."""
    for each in content["annotations"]:
        each["keypoints"] = [value if place % 3 == 2 else value / 90 for place, value in enumerate(each["keypoints"])]


def unannotated(content: dict[str, Any]) -> None:
    for each in content["annotations"]:
        each["keypoints"], each["num_keypoints"] = [0] * 12, 0


CASES: dict[str, tuple[Damage, str]] = {
    # the annotations
    "no keypoints": (annotation(keypoints=...), r"annotation 3: keypoints is None, and no list"),
    "keypoints no list": (annotation(keypoints={"nose": [1, 2]}), r"annotation 3: keypoints is \{.*, and no list"),
    "keypoints too few": (
        annotation(keypoints=[1, 2, 2] * 3),
        r"annotation 3: keypoints has 9 numbers, .* 4 key",
    ),
    "keypoints too many": (annotation(keypoints=[1, 2, 2] * 5), r"annotation 3: keypoints has 15 numbers, .* 4 key"),
    "pairs without visibility": (annotation(keypoints=[20, 20] * 4), r"annotation 3: keypoints has 8 numbers"),
    "keypoint of text": (keypoint(0, "12"), r"annotation 3: keypoints is .*, and no list"),
    "keypoint not finite": (keypoint(1, math.nan), r"annotation 3: keypoints is .*nan.*, and no list"),
    "odd visibility": (keypoint(2, 3), r"annotation 3: the visibility of keypoint 0 is 3, and not 0, 1 or 2"),
    "keypoint out of its image": (keypoint(3, 900.0), r"annotation 3: keypoint 1, at \(900, .*\), is out of its image"),
    "negative keypoint": (keypoint(4, -30.0), r"annotation 3: keypoint 1, at .* is out of its image, train2.png"),
    "wrong count": (annotation(num_keypoints=1), r"annotation 3: num_keypoints is 1, and 4 of its keypoints"),
    "no box": (annotation(bbox=...), r"annotation 3: bbox is None"),
    "empty box": (annotation(bbox=[10, 10, 0, 10]), r"annotation 3: bbox .* is empty"),
    "box out of its image": (annotation(bbox=[10, 10, 900, 10]), r"annotation 3: bbox .* reaches out of its image"),
    "tiny box": (annotation(bbox=[20, 20, 1, 0.5]), r"annotation 3: its box is 1 × 0.5 pixels"),
    "no area": (annotation(area=0), r"annotation 3: its area is 0, and COCO's keypoint similarity"),
    "keypoints of another object": (
        annotation(bbox=[1, 1, 3, 3]),
        r"annotation 3: none of its keypoints lies in its box \[1.0, 1.0, 3.0, 3.0\]: nose is at",
    ),
    "keypoints as parts of the image": (
        edited(normalised),
        r"train.json is malformed:\n  annotation 1: none of",
    ),
    "no annotated keypoint": (edited(unannotated), r"train.json: no object has an annotated keypoint"),
    "no annotated keypoint to measure": (edited(unannotated, "val"), r"val.json: no object has an annotated keypoint"),
    "malformed validation": (annotation("val", area=0), r"val.json is malformed:\n  annotation 3"),
    # their form
    "no names": (category(keypoints=...), r"category 5 \(animal\): keypoints is None, and no list of names"),
    "odd names": (
        category(keypoints=["a", 2, "c", "d"]),
        r"category 5 \(animal\): keypoints is .*, and no list",
    ),
    "two of a name": (category(keypoints=["a", "b", "a", "d"]), r"two keypoints are called 'a'"),
    "other names": (category("val", keypoints=list("abcd")), r"val.json has other keypoints than the training split"),
    "names in another order": (
        category("val", keypoints=["left_ear", "nose", "right_ear", "tail"]),
        r"val.json has other keypoints .*: left_ear, nose, .*; the training split has nose, left_ear",
    ),
    "skeleton beyond": (category(skeleton=[[1, 9]]), r"skeleton has 9, and the 4 keypoints are nose"),
    "skeleton no pairs": (category(skeleton=[1, 2]), r"skeleton has 1, and no pair of two keypoints"),
    "flip pair of one": (category(flip_pairs=[[2, 2]]), r"flip_pairs has \[2, 2\], and no pair of two keypoints"),
    "flip pairs twice": (category(flip_pairs=[[1, 2], [2, 3]]), r"a keypoint is in two flip_pairs"),
    "sigmas too few": (
        category(sigmas=[0.1, 0.1]),
        r"sigmas is \[0.1, 0.1\], and not a number above 0 for each",
    ),
    "sigma of zero": (category(sigmas=[0.1, 0.1, 0, 0.1]), r"sigmas is .*, and not a number above 0 for each"),
    "two categories that differ": (
        edited(lambda content: content["categories"].append({"id": 6, "name": "car", "keypoints": ["wheel"]})),
        r"One model learns one set of keypoints|set of keypoints",
    ),
    # the configuration
    "wrong number of names": (lambda _: {"keypoint_names": ["a"]}, r"keypoint_names has 1 names, .* have 4 keypoints"),
    "unknown name in a pair": (lambda _: {"flip_pairs": [["nose", "trunk"]]}, r"dataset.flip_pairs.*'trunk'"),
    "sigmas of the configuration": (lambda _: {"sigmas": [0.1] * 3}, r"dataset.sigmas: sigmas is"),
}


def plan_for(folder: Path, tmp_path: Path, **dataset: Any) -> Any:
    """A plan whose model is not looked at."""
    return build_plan(
        {
            "task": "pose_detection",
            "model": {"path": str(tmp_path)},
            "dataset": {"path": str(folder), **dataset},
            "method": "full",
            "output_dir": str(tmp_path / "never"),
        }
    )


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_by_a_message(case: str, poses: Path, tmp_path: Path) -> None:
    damage, message = CASES[case]
    folder = shutil.copytree(poses, tmp_path / "data")
    options = damage(folder) or {}
    plan = plan_for(folder, tmp_path, **options)
    with pytest.raises(AdaptError, match=message):
        plan.make_task().load_data()


def test_all_faults_are_named_at_once_up_to_twenty(poses: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(poses, tmp_path / "data")

    def change(content: dict[str, Any]) -> None:
        first = content["annotations"][0]
        content["annotations"] += [{**first, "id": 900 + number, "bbox": [1, 1, 2, 2]} for number in range(25)]

    edited(change)(folder)
    plan = plan_for(folder, tmp_path)
    with pytest.raises(AdaptError) as caught:
        plan.make_task().load_data()
    lines = str(caught.value).splitlines()
    assert sum("annotation 9" in line for line in lines) == 20
    assert any("and 5 more" in line for line in lines)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("dataset", {"sigmas": [0.1, "x"]}),
        ("dataset", {"flip_pairs": [["a"], ["b", "c"]]}),
        ("dataset", {"keypoint_names": []}),
        ("task", {"sigma": 0}),
        ("task", {"augmentation": "mixup"}),
        ("model", {"dataset_index": -1}),
    ],
)
def test_options_are_checked_without_data(section: str, values: dict[str, Any], tmp_path: Path) -> None:
    made: dict[str, Any] = {
        "task": {"name": "pose_detection"},
        "model": {"path": "model"},
        "dataset": {"path": "data"},
        "method": "full",
        "output_dir": str(tmp_path),
    }
    made[section] |= values
    with pytest.raises(ConfigError, match=next(iter(values))):
        build_plan(made)
