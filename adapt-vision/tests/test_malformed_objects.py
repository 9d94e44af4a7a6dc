"""Every kind of malformed annotation is an error before the model loads, which says what and where."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from annotated_contract import planned
from PIL import Image

from adapt_core.errors import AdaptError
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.reading import size_of
from adapt_vision.annotations.rows import load_rows
from adapt_vision.data.decoding import decode

Damage = Callable[[Path], dict[str, Any] | None]


def edited(change: Callable[[dict[str, Any]], Any], split: str = "train") -> Damage:
    """Changes what a split's JSON says."""

    def damage(folder: Path) -> None:
        path = folder / "annotations" / f"{split}.json"
        content = json.loads(path.read_text())
        changed = change(content)
        path.write_text(json.dumps(content if changed is None else changed))

    return damage


def annotation(split: str = "train", **values: Any) -> Damage:
    """Gives the third annotation other values; ... removes one."""

    def change(content: dict[str, Any]) -> None:
        _set(content["annotations"][2], values)

    return edited(change, split)


def image(**values: Any) -> Damage:
    return edited(lambda content: _set(content["images"][1], values))


def category(**values: Any) -> Damage:
    return edited(lambda content: _set(content["categories"][1], values))


def _set(entry: dict[str, Any], values: dict[str, Any]) -> None:
    for key, value in values.items():
        if value is ...:
            del entry[key]
        else:
            entry[key] = value


def written(text: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / "annotations" / "train.json").write_text(text)

    return damage


def resized(folder: Path) -> None:
    Image.new("RGB", (25, 25)).save(folder / "train" / "train1.png")


def unstated(folder: Path) -> None:
    image(width=..., height=...)(folder)
    resized(folder)


def cut(folder: Path) -> None:
    path = folder / "train" / "train1.png"
    path.write_bytes(path.read_bytes()[:-300])


def shared(folder: Path) -> None:
    content = json.loads((folder / "annotations" / "val.json").read_text())
    shutil.copy(folder / "train" / "train0.png", folder / "val" / "val0.png")
    width, height = Image.open(folder / "val" / "val0.png").size
    content["images"][0] |= {"width": width, "height": height}
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] != 10]
    (folder / "annotations" / "val.json").write_text(json.dumps(content))


CASES: dict[str, tuple[Damage, str]] = {
    "no JSON": (written("{"), r"train.json cannot be read: Expecting"),
    "no text": (lambda f: (f / "annotations" / "train.json").write_bytes(b"\xff\xfe{"), r"train.json cannot be read"),
    "a list": (written("[]"), r"train.json holds a list, and no object"),
    "no images key": (edited(lambda c: c.pop("images") and None), r"has no 'images'"),
    "annotations no list": (edited(lambda c: c.update(annotations={})), r"'annotations' is no list"),
    "an entry no object": (edited(lambda c: c["annotations"].append(5)), r"entry \d+ of 'annotations' is no object"),
    "no images": (edited(lambda c: c.update(images=[])), r"has no images"),
    "no annotations": (edited(lambda c: c.update(annotations=[])), r"has no annotations"),
    "no categories": (edited(lambda c: c.update(categories=[])), r"has no categories"),
    "image without id": (image(id=...), r"image at place 1: id is None"),
    "image without name": (image(file_name=""), r"image 11: file_name is ''"),
    "image with odd width": (image(width="80"), r"image 11 \(train1.png\): width is '80'"),
    "two images of an id": (image(id=10), r"2 images have the id 10"),
    "an image twice": (image(file_name="train0.png"), r"2 images have the file_name train0.png"),
    "category without name": (category(name=...), r"category at place 1: name is None"),
    "two categories of a name": (category(name="red"), r"2 categories have the name red"),
    "two categories of an id": (category(id=3), r"2 categories have the id 3"),
    "annotation without id": (annotation(id=...), r"annotation at place 2: id is None"),
    "two annotations of an id": (annotation(id=1), r"2 annotations have the id 1"),
    "unknown image": (annotation(image_id=999), r"annotation 3: image_id is 999, and there is no such image"),
    "unknown category": (annotation(category_id=1), r"annotation 3: category_id is 1; the categories are 3 \(red\)"),
    "no box": (annotation(bbox=...), r"annotation 3: bbox is None"),
    "three numbers": (annotation(bbox=[1, 2, 3]), r"annotation 3: bbox is \[1, 2, 3\], and not four numbers"),
    "box of text": (annotation(bbox=["1", 2, 3, 4]), r"annotation 3: bbox is .*, and not four numbers"),
    "box not finite": (annotation(bbox=[1, 2, math.nan, 4]), r"annotation 3: bbox is .*, and not four numbers"),
    "empty box": (annotation(bbox=[1, 2, 0, 4]), r"annotation 3: bbox \[1, 2, 0, 4\] is empty"),
    "negative box": (annotation(bbox=[-5, 2, 9, 4]), r"annotation 3: bbox .* reaches out of its image, train\d.png"),
    "box too large": (annotation(bbox=[5, 2, 900, 4]), r"annotation 3: bbox .* reaches out of its image, train\d.png"),
    "odd crowd": (annotation(iscrowd=2), r"annotation 3: iscrowd is 2"),
    "odd area": (annotation(area=-1), r"annotation 3: area is -1"),
    "image of another size": (resized, r"image 11 \(train1.png\) is 25 × 25 pixels, not \d+ × \d+"),
    "box beyond an image of unstated size": (
        unstated,
        r"annotation \d+: its box reaches out of its image, train1.png",
    ),
    "unreadable image": (cut, r"1 of 8 images cannot be read:\n .*train1.png"),
    "missing image": (lambda f: (f / "train" / "train1.png").unlink(), r"1 of 8 images are not in .*: train1.png"),
    "no image folder": (lambda f: shutil.rmtree(f / "train"), r"its first image, train0.png, is not in"),
    "other categories": (
        edited(lambda c: c["categories"][1].update(name="blue"), "val"),
        r"val.json has other categories than the training split, .*: 3 red, 7 blue; the training split has 3 red, 7 gr",
    ),
    "categories with other ids": (
        edited(lambda c: c.update(categories=[{"id": 3, "name": "green"}, {"id": 7, "name": "red"}]), "val"),
        r"other ids for them: 3 green, 7 red",
    ),
    "malformed validation": (annotation("val", bbox=[]), r"val.json is malformed:\n  annotation 3: bbox"),
    "shared images": (shared, r"1 images of .*val.json are training images: .*val0.png is .*train0.png"),
    "no training split": (lambda f: (f / "annotations" / "train.json").unlink(), r"no annotations of a training split"),
    "file that is not there": (
        lambda f: {"train_ann_file": "other.json"},
        r"no file .*other.json, which dataset.train_ann_file",
    ),
    "two files for a split": (
        lambda f: shutil.copy(f / "annotations" / "val.json", f / "val.json") and None,
        r"several files that could annotate its validation split: annotations/val.json, val.json",
    ),
    "no folder": (lambda f: {"path": str(f / "nix")}, r"There is no data at .*nix"),
    "two training files": (
        lambda f: {"path": str(f / "annotations" / "train.json"), "train_ann_file": "val.json"},
        r"dataset.path is a file",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_by_a_message(case: str, objects: Path, tmp_path: Path) -> None:
    damage, message = CASES[case]
    folder = shutil.copytree(objects, tmp_path / "data")
    options = damage(folder)
    made = AnnotatedImageOptions(**{"path": str(folder), **(options if isinstance(options, dict) else {})})
    with pytest.raises(AdaptError, match=message):
        load_rows(made, 0, evaluate=True)


def test_all_faults_are_named_at_once_up_to_twenty(objects: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(objects, tmp_path / "data")
    extra = [{"id": 900 + number, "image_id": 10, "category_id": 3, "bbox": []} for number in range(25)]
    edited(lambda content: content["annotations"].extend(extra))(folder)
    with pytest.raises(AdaptError) as caught:
        load_rows(AnnotatedImageOptions(path=str(folder)), 0, evaluate=True)
    lines = str(caught.value).splitlines()
    assert sum("annotation 9" in line for line in lines) == 20
    assert any("and 5 more" in line for line in lines)


def test_unreadable_images_are_left_out_as_the_message_says(
    detection: dict[str, Any], objects: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(objects, tmp_path / "data")
    whole, _, _ = load_rows(AnnotatedImageOptions(path=str(folder)), 0, evaluate=True)
    cut(folder)
    with pytest.raises(AdaptError, match="1 of 8 images cannot be read") as caught:
        load_rows(AnnotatedImageOptions(path=str(folder)), 0, evaluate=True)
    (asked,) = re.findall(r"dataset\.(\w+)=true", str(caught.value.hint))
    task = planned(detection, tmp_path, dataset={"path": str(folder), asked: True})
    data = task.load_data()
    kept = [row for row in range(8) if row != 1]
    assert [Path(each).name for each in data.train.images] == [f"train{row}.png" for row in kept]
    assert data.train.objects == [whole.objects[row] for row in kept]
    assert data.info["rows"] == {"train": 7, "validation": 4}
    (left,) = data.info["unreadable"]
    assert left.startswith(str(folder / "train" / "train1.png"))
    task.engine_inputs(data, task.load_model(data.info))
    (told,) = [section for section in task.preview(data) if section.title == "How they are read"]
    assert [line.split(":")[0] for (line,) in told.rows] == [
        "training",
        "evaluation",
        "1 image cannot be read and is left out",
    ]
    assert "7 images" in told.rows[0][0] and "decoded once and kept in memory" in told.rows[0][0]
    info = {**data.info, "evaluation": None}
    assert (
        task.load_split(str(folder), "train", info).info["evaluation"].endswith("without 1 images that cannot be read")
    )


def test_boxes_stay_on_an_image_that_its_exif_data_turn(objects: Path, tmp_path: Path) -> None:
    """COCO's file says the size of the picture as it is seen, and so do its boxes."""
    folder = shutil.copytree(objects, tmp_path / "data")
    before, _, _ = load_rows(AnnotatedImageOptions(path=str(folder)), 0, evaluate=False)
    path = folder / "train" / "train0.png"
    upright = Image.open(path).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # the viewer turns it clockwise by 90 degrees
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    assert Image.open(path).size == upright.size[::-1] and size_of(path) == upright.size
    after, _, _ = load_rows(AnnotatedImageOptions(path=str(folder)), 0, evaluate=False)
    assert after.objects == before.objects and after.found[0].size == upright.size
    assert decode(after.images[0]).tobytes() == upright.tobytes()
    (edited(lambda content: content["images"][0].update(width=upright.height, height=upright.width)))(folder)
    with pytest.raises(AdaptError, match=r"train0\.png\) is \d+ × \d+ pixels, not|reaches out of its image"):
        load_rows(AnnotatedImageOptions(path=str(folder)), 0, evaluate=False)
