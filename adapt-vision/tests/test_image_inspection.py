"""What ``adapt data`` says of real images, held against Pillow and the files of annotations themselves."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import adapt_core
from adapt_core.cli.app import command_line


def inspected(made: dict[str, Any], data: Path, **dataset: Any) -> Sequence[Any]:
    return adapt_core.inspect_data(
        {**made, "dataset": {"path": str(data), **dataset}, "output_dir": "never"}, examples=1
    )


def expected(paths: Sequence[Path]) -> dict[str, Any]:
    """Sizes and formats by Pillow's header alone."""
    sizes, forms = [], []
    for path in paths:
        with Image.open(path) as image:
            sizes.append(image.size)
            forms.append(f"{image.format}, {image.mode}")
    return {
        "width in pixels": [width for width, _ in sizes],
        "height in pixels": [height for _, height in sizes],
        "format": dict(Counter(forms)),
    }


def annotated(data: Path, split: str) -> tuple[list[Path], list[list[dict[str, Any]]], dict[int, str]]:
    """Images, the annotations of each and the classes, from COCO's JSON."""
    content = json.loads((data / "annotations" / f"{split}.json").read_text())
    by_image: dict[int, list[dict[str, Any]]] = {each["id"]: [] for each in content["images"]}
    for each in content["annotations"]:
        by_image[each["image_id"]].append(each)
    names = {each["id"]: each["name"] for each in content["categories"]}
    return [data / split / each["file_name"] for each in content["images"]], list(by_image.values()), names


@pytest.fixture(scope="module")
def clothes(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images of each of three classes; one of a class twice, one in two classes, one in two splits, one PNG."""
    source, folder = test_data / "image_classification" / "clothing_small", tmp_path_factory.mktemp("clothes")
    for split, count in (("train", 6), ("validation", 2)):
        for name in ("dress", "hat", "shirt"):
            (folder / split / name).mkdir(parents=True)
            for path in sorted((source / split / name).iterdir())[:count]:
                shutil.copy(path, folder / split / name)
    dress, hat, shirt = (sorted((folder / "train" / name).iterdir()) for name in ("dress", "hat", "shirt"))
    shutil.copy(dress[0], folder / "train" / "dress" / "again.jpg")
    shutil.copy(hat[0], folder / "train" / "shirt" / "torn.jpg")
    shutil.copy(shirt[0], folder / "validation" / "shirt" / "seen.jpg")
    Image.open(dress[1]).convert("L").save(folder / "train" / "dress" / "grey.png")
    return folder


def test_classes_sizes_and_formats_of_clothes(config: dict[str, Any], clothes: Path) -> None:
    for split, name in zip(inspected(config, clothes), ("train", "validation"), strict=True):
        paths = sorted((clothes / name).glob("*/*"), key=lambda path: (path.parent.name, path.name))
        known = expected(paths)
        for what in ("width in pixels", "height in pixels"):
            assert sorted(split.numbers[what]) == sorted(known[what])
        assert split.counts["format"] == known["format"]
        assert split.labels == Counter(path.parent.name for path in paths)
        assert Counter(split.keys) == Counter(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)


def test_images_that_come_again_are_named_in_the_terminal(
    config: dict[str, Any], clothes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], adapt: Any
) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps({**config, "dataset": {"path": str(clothes)}}))
    assert command_line(["data", str(file)]) == 0
    shown = capsys.readouterr().out
    for part in ("JPEG, RGB", "PNG, L", "width in pixels", "1 in train", "again.jpg", "seen.jpg"):
        assert part in shown, part
    assert "The same image is in several classes, 1 times" in " ".join(shown.split())
    assert "fewest" not in shown and "beyond the limit" not in shown, "columns with nothing in them"
    assert "images, which --html FILE draws" in shown
    found = adapt("data", str(file))
    assert found["shared"] == [{"splits": ["train", "validation"], "rows": 1}]
    train = found["splits"]["train"]
    assert train["duplicates"] == 2
    known = expected(sorted((clothes / "train").glob("*/*")))
    assert train["numbers"]["width in pixels"]["most"] == max(known["width in pixels"])
    assert train["counts"]["format"] == known["format"]


@pytest.mark.parametrize(
    ("task", "folder"),
    [("detection", "object_detection/bccd"), ("segmentation", "instance_segmentation/dsb2018_nuclei")],
)
def test_objects_of_real_images(task: str, folder: str, test_data: Path, request: pytest.FixtureRequest) -> None:
    data = test_data / folder
    for split, name in zip(inspected(request.getfixturevalue(task), data), ("train", "val"), strict=True):
        paths, objects, names = annotated(data, name)
        known = expected(paths)
        assert split.counts["format"] == known["format"]
        assert split.numbers["width in pixels"] == known["width in pixels"]
        assert (split.unit, split.lengths) == ("objects", [len(each) for each in objects])
        flat = [each for every in objects for each in every]
        assert split.labels == Counter(names[each["category_id"]] for each in flat)
        edges = [max(each["bbox"][2:]) for each in flat]
        assert split.numbers["longer edge of an object's box"] == pytest.approx(edges, abs=1)  # at an image's edge, cut
        small, medium, large = split.counts["size of objects"].values()
        assert small == sum(each["area"] < 1024 for each in flat)
        assert large == sum(each["area"] >= 9216 for each in flat)
        assert small + medium + large == len(flat)


def test_images_without_objects_and_crowds_are_told(detection: dict[str, Any], test_data: Path, tmp_path: Path) -> None:
    source = test_data / "object_detection" / "bccd"
    content = json.loads((source / "annotations" / "train.json").read_text())
    images = content["images"][:4]
    kept = [each for each in content["annotations"] if each["image_id"] in {one["id"] for one in images[:3]}]
    kept[0]["iscrowd"] = 1
    (tmp_path / "train.json").write_text(json.dumps({**content, "images": images, "annotations": kept}))
    training = {**detection["training"], "do_eval": False}
    (train,) = inspected({**detection, "training": training}, tmp_path, image_root=str(source / "train"))
    assert list(train.notices) == [
        "1 images have no objects.",
        "1 annotations are crowds: several objects that are not told apart.",
    ]
    assert sum(train.lengths) == len(kept) - 1, "a crowd is no object to find"


def test_keypoints_of_the_mouse(pose: dict[str, Any], test_data: Path) -> None:
    data = test_data / "pose" / "openfield_mouse"
    for split, name in zip(inspected(pose, data), ("train", "val"), strict=True):
        _, objects, _ = annotated(data, name)
        content = json.loads((data / "annotations" / f"{name}.json").read_text())
        keypoints = content["categories"][0]["keypoints"]
        seen = [each["keypoints"][2::3] for every in objects for each in every]
        assert split.counts["keypoint"] == {
            one: sum(each[place] > 0 for each in seen) for place, one in enumerate(keypoints)
        }
        hidden = {one: sum(each[place] == 1 for each in seen) for place, one in enumerate(keypoints)}
        assert split.counts.get("hidden keypoint", dict.fromkeys(keypoints, 0)) == hidden
        assert split.numbers["keypoints of an object"] == [sum(each > 0 for each in one) for one in seen]
