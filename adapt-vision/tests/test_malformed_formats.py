"""Whatever is wrong with YOLO's, Pascal VOC's, an image folder's or a mask's annotations is refused, and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import copies
import numpy as np
import pytest
import yaml
from PIL import Image

from adapt_core.errors import AdaptError
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.rows import load_rows

Damage = Callable[[Path], dict[str, Any] | None]
Case = tuple[Damage, str] | tuple[Damage, str, str]
"""What is done, the message, and what is wanted where it is not boxes."""


@pytest.fixture(scope="module")
def outlined(objects: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COCO's form of eight and four images, with outlines and two keypoints of each object."""
    folder = shutil.copytree(objects, tmp_path_factory.mktemp("outlined") / "data")
    for split in copies.SPLITS:
        path = folder / "annotations" / f"{split}.json"
        content = json.loads(path.read_text())
        for each in content["categories"]:
            each["keypoints"] = ["left", "right"]
        for each in content["annotations"]:
            left, top, width, height = each["bbox"]
            right, bottom = left + width, top + height
            each["segmentation"] = [[left, top, right, top, right, bottom, left, bottom]]
            each["keypoints"] = [left, top, 2, right - 1, bottom - 1, 1]
        path.write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def written(outlined: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("written")
    made = {
        "yolo": copies.to_yolo(outlined, folder / "yolo"),
        "outlines": copies.to_yolo(outlined, folder / "outlines", "masks"),
        "points": copies.to_yolo(outlined, folder / "points", "keypoints", flips=[1, 0]),
        "voc": copies.to_voc(outlined, folder / "voc"),
        "objects": copies.to_objects(outlined, folder / "objects"),
        "palette": copies.to_palette(outlined, folder / "palette"),
    }
    content = {"classes": ["background", "thing"], "palette": [[0, 0, 0], [128, 0, 0]]}
    (made["palette"] / "classes.json").write_text(json.dumps(content))
    return made


def refused(case: Case, folder: Path, tmp_path: Path, wanted: str = "boxes") -> None:
    damage, message, *other = case
    copy = shutil.copytree(folder, tmp_path / "data")
    options = damage(copy)
    made = AnnotatedImageOptions(**{"path": str(copy), **(options if isinstance(options, dict) else {})})
    with pytest.raises(AdaptError, match=message):
        load_rows(made, 0, evaluate=True, wanted=other[0] if other else wanted)  # type: ignore[arg-type]


def both(*damages: Damage) -> Damage:
    def damage(folder: Path) -> None:
        for each in damages:
            each(folder)

    return damage


def text(path: str, content: str) -> Damage:
    return lambda folder: (folder / path).write_text(content) and None


def removed(path: str) -> Damage:
    return lambda folder: (folder / path).unlink()


def shown(path: str) -> Damage:
    """An image of another size."""
    return lambda folder: Image.new("RGB", (25, 25)).save(folder / path)


# ---- YOLO -----------------------------------------------------------------------------------------------------


def line(content: str, number: int = 1) -> Damage:
    """Writes a line of the labels of the second training image."""

    def damage(folder: Path) -> None:
        path = folder / "labels" / "train" / "train1.txt"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[: number - 1], content, *lines[number:]]))

    return damage


def description(**values: Any) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "data.yaml"
        content = {**yaml.safe_load(path.read_text()), **values}
        path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not ...}))

    return damage


YOLO: dict[str, Case] = {
    "no YAML": (text("data.yaml", "names: ["), r"data.yaml cannot be read"),
    "code in YAML": (text("data.yaml", "names: !!python/object/apply:os.getcwd []"), r"data.yaml cannot be read"),
    "a list": (text("data.yaml", "- a"), r"data.yaml holds a list, and no keys"),
    "no training split": (description(train=...), "no annotations of a training split"),
    "no names": (description(names=...), "names is None, and no list of classes"),
    "names that are numbers": (description(names=[1, 2]), r"names is \[1, 2\], and no list of classes"),
    "numbers with a gap": (description(names={0: "a", 2: "b"}), "the numbers of names are 0, 2"),
    "a name twice": (description(names=["a", "a"]), "two classes are called 'a'"),
    "another number of classes": (description(nc=3), "nc is 3, and there are 2 names"),
    "a split that is not there": (description(train="images/nix"), "no folder or file .*nix, which train names"),
    "a split that is no path": (description(train=[5]), "train has 5, and no folder or list"),
    "a split without images": (
        lambda f: (f / "empty").mkdir() or description(train="empty")(f),
        "the split train has no images",
    ),
    "a class beyond": (
        line("2 0.5 0.5 0.1 0.1"),
        r"train1.txt, line 1: the class is 2, and the 2 classes go from 0 to 1",
    ),
    "a class of text": (line("red 0.5 0.5 0.1 0.1"), "line 1: 'red 0.5 0.5 0.1 0.1' has more than numbers"),
    "half a class": (line("0.5 0.5 0.5 0.1 0.1"), "line 1: the class is 0.5"),
    "pixels": (line("0 40 30 10 10"), "line 1: 40 is not between 0 and 1"),
    "not finite": (line("0 nan 0.5 0.1 0.1"), "line 1: .* not finite"),
    "three numbers": (line("0 0.5 0.5 0.1"), "line 1: there are 3 numbers behind the class, and not 4"),
    "a score": (line("0 0.5 0.5 0.1 0.1 0.9"), "line 1: there are 5 numbers behind the class"),
    "an empty box": (line("0 0.5 0.5 0 0.1"), r"line 1: bbox .* is empty"),
    "a box beyond": (line("0 0.9 0.5 0.6 0.1"), "line 1: bbox .* reaches out of its image, train1.png"),
    "labels of no image": (removed("images/train/train1.png"), r"train1.txt belongs to no image"),
    "labels of another format": (text("labels/train/a.xml", "<a/>"), "a.xml is of another format"),
    "other classes beside": (text("labels/train/classes.txt", "a\nb"), "has the classes a, b, not red, green"),
    "no labels": (lambda f: shutil.rmtree(f / "labels" / "train"), "no image of the split train has labels"),
    "no text": (
        lambda f: (f / "labels/train/train1.txt").write_bytes(b"\xff\xfe0") and None,
        "train1.txt cannot be read",
    ),
    "two images of a name": (
        lambda f: shutil.copy(f / "images/train/train1.png", f / "images/train/train1.jpg") and None,
        "2 images share the labels .*train1.txt",
    ),
    "a list with a missing image": (
        lambda f: text("train.txt", "images/train/nix.png\n")(f) or description(train="train.txt")(f),
        "the image images/train/nix.png is not there",
    ),
    "an unreadable image": (
        lambda f: (f / "images/train/train1.png").write_bytes(b"x") and None,
        "1 of 8 images cannot be read",
    ),
    "a file that is named": (lambda f: {"train_ann_file": "x.yaml"}, "says where the splits are"),
    "a folder of images": (lambda f: {"image_root": str(f)}, "says where its images are"),
    "another list of classes": (lambda f: {"class_list": ["green", "red"]}, "class_list.* is green, red, and the cl"),
    "masks of boxes": (line("0 0.5 0.5 0.1 0.1"), "line 1: there is a box and no outline", "masks"),
    "keypoints of boxes": (lambda f: None, "no kpt_shape: its objects have no keypoints", "keypoints"),
}

OUTLINES: dict[str, Case] = {
    "two points": (line("0 0.1 0.1 0.5 0.5"), "line 1: there is a box and no outline"),
    "an odd number": (line("0 0.1 0.1 0.5 0.5 0.7 0.7 0.1"), "line 1: there are 7 numbers"),
    "a point beyond": (line("0 0.1 0.1 0.5 1.5 0.7 0.7"), "line 1: 1.5 is not between 0 and 1"),
    "no area": (line("0 0.1 0.1 0.1 0.1 0.1 0.1"), "line 1: bbox .* is empty"),
    "no pixels": (line("0 0.5 0.5 0.501 0.501 0.5 0.501"), "line 1: its outline has no pixels"),
}

POINTS: dict[str, Case] = {
    "too few": (
        line("0 0.5 0.5 0.2 0.2 0.5 0.5 2"),
        "line 1: there are 7 numbers behind the class, and not 4 of a box",
    ),
    "odd visibility": (line("0 0.5 0.5 0.2 0.2 0.5 0.5 3 0.5 0.5 2"), "line 1: the visibility of keypoint 0 is 3"),
    "beyond": (line("0 0.5 0.5 0.2 0.2 0.5 0.5 2 1.5 0.5 2"), r"line 1: keypoint 1 is at \(1.5, 0.5\), out of"),
    "an odd shape": (description(kpt_shape=[2]), r"kpt_shape is \[2\]"),
    "four numbers each": (description(kpt_shape=[2, 4]), r"kpt_shape is \[2, 4\]"),
    "flips of another length": (description(flip_idx=[0]), r"flip_idx is \[0\], and does not give each of 2"),
    "flips of text": (description(flip_idx="01"), "flip_idx is '01'"),
    "too few names": (description(kpt_names=["a"]), r"kpt_names is \['a'\], and no name for each of 2"),
    "names that differ": (description(kpt_names={0: ["a", "b"], 1: ["b", "a"]}), "kpt_names differ between classes"),
    "a circle of flips": (description(flip_idx=[1, 1]), "flip_idx is"),
    "masks": (lambda f: None, "there are a box and keypoints and no outline", "masks"),
}


@pytest.mark.parametrize("case", YOLO)
def test_malformed_yolo_is_refused(case: str, written: Mapping[str, Path], tmp_path: Path) -> None:
    refused(YOLO[case], written["yolo"], tmp_path)


@pytest.mark.parametrize("case", OUTLINES)
def test_malformed_outlines_of_yolo_are_refused(case: str, written: Mapping[str, Path], tmp_path: Path) -> None:
    refused(OUTLINES[case], written["outlines"], tmp_path, "masks")


@pytest.mark.parametrize("case", POINTS)
def test_malformed_keypoints_of_yolo_are_refused(case: str, written: Mapping[str, Path], tmp_path: Path) -> None:
    refused(POINTS[case], written["points"], tmp_path, "keypoints")


# ---- Pascal VOC -----------------------------------------------------------------------------------------------


def xml(old: str, new: str, name: str = "train1") -> Damage:
    """Replaces the first of some text in the XML of the second training image."""

    def damage(folder: Path) -> None:
        path = folder / "Annotations" / f"{name}.xml"
        content = path.read_text()
        assert old in content
        path.write_text(content.replace(old, new, 1))

    return damage


def field(key: str, value: str) -> Damage:
    """Writes another value into the first element of a name."""

    def damage(folder: Path) -> None:
        content = (folder / "Annotations" / "train1.xml").read_text()
        start = content.index(f"<{key}>") + len(key) + 2
        (folder / "Annotations" / "train1.xml").write_text(
            content[:start] + value + content[content.index(f"</{key}>", start) :]
        )

    return damage


VOC: dict[str, Case] = {
    "no XML": (text("Annotations/train1.xml", "<annotation>"), "train1.xml is no XML"),
    "an empty file": (text("Annotations/train1.xml", " "), "train1.xml is no XML"),
    "another root": (text("Annotations/train1.xml", "<annotations/>"), "train1.xml holds <annotations>, and not"),
    "a document type": (xml("<annotation>", "<!DOCTYPE a [<!ENTITY b 'c'>]><annotation>"), "declares a document type"),
    "no name": (field("name", " "), "train1.xml, object 1: it has no name"),
    "no box": (xml("bndbox", "box"), "is no XML"),
    "box of another name": (
        both(xml("<bndbox>", "<box>"), xml("</bndbox>", "</box>")),
        "train1.xml, object 1: it has no bndbox",
    ),
    "no edge": (both(xml("<xmin>", "<x>"), xml("</xmin>", "</x>")), "xmin of its bndbox is None"),
    "text for an edge": (field("xmin", "left"), "object 1: xmin of its bndbox is 'left', and no number"),
    "not finite": (field("ymax", "inf"), "object 1: ymax of its bndbox is 'inf'"),
    "left of right": (field("xmax", "0"), "object 1: its bndbox goes from .*: it is empty"),
    "too wide": (field("xmax", "900"), r"object 1: bbox .* reaches out of its image, train1.png, of"),
    "negative": (field("ymin", "-7"), "object 1: bbox .* reaches out of its image"),
    "odd difficulty": (field("difficult", "2"), "object 1: difficult is '2'"),
    "width of text": (field("width", "w"), "width of its size is 'w'"),
    "no width": (field("width", "0"), "its size is 0 × "),
    "another size": (shown("JPEGImages/train1.png"), r"image 2 \(.*train1.png\) is 25 × 25 pixels, not"),
    "no image": (removed("JPEGImages/train1.png"), "train1.xml: its image is not there"),
    "an unreadable image": (
        lambda f: (f / "JPEGImages/train1.png").write_bytes(b"x") and None,
        "1 of 8 images cannot be read",
    ),
    "a listed file that is not there": (removed("Annotations/train1.xml"), "there is no train1.xml"),
    "listed twice": (
        text("ImageSets/Main/train.txt", "train0\ntrain0\n"),
        "line 2: train0 is listed already in line 1",
    ),
    "an empty list": (text("ImageSets/Main/train.txt", "\n"), "train.txt names no images"),
    "a class beyond the list": (
        lambda f: {"class_list": ["red"]},
        r"object \d: its class is 'green'; the classes are red",
    ),
    "a class that training lacks": (
        lambda f: xml("<name>red</name>", "<name>blue</name>", _with(f, "red"))(f),
        r"its class is 'blue'; the classes are green, red",
    ),
    "keypoints": (lambda f: None, "which has no keypoints", "keypoints"),
    "masks": (lambda f: None, "which has no masks", "masks"),
    "shared images": (
        lambda f: shutil.copy(f / "ImageSets/Main/train.txt", f / "ImageSets/Main/val.txt") and None,
        "8 images of .*val.txt are training images",
    ),
    "no file of that name": (lambda f: {"train_ann_file": "nix.txt"}, "There is no file"),
}


def _with(folder: Path, name: str) -> str:
    """A validation image with an object of a class."""
    return next(
        each.stem for each in sorted((folder / "Annotations").glob("val*.xml")) if f"<name>{name}<" in each.read_text()
    )


@pytest.mark.parametrize("case", VOC)
def test_malformed_voc_is_refused(case: str, written: Mapping[str, Path], tmp_path: Path) -> None:
    refused(VOC[case], written["voc"], tmp_path)


# ---- image folders with objects -------------------------------------------------------------------------------


def row(**values: Any) -> Damage:
    """Gives the second training row other values; ... removes one."""

    def damage(folder: Path) -> None:
        path = folder / "train" / "metadata.jsonl"
        rows = [json.loads(each) for each in path.read_text().splitlines()]
        rows[1] = {key: value for key, value in {**rows[1], **values}.items() if value is not ...}
        path.write_text("\n".join(map(json.dumps, rows)))

    return damage


def things(**values: Any) -> Damage:
    return row(objects={"bbox": [[1, 2, 10, 12]], "category": ["red"], **values})


OBJECTS: dict[str, Case] = {
    "no JSON": (text("train/metadata.jsonl", "{\n"), "line 1: it is no JSON"),
    "a list": (text("train/metadata.jsonl", "[]\n"), "line 1: it is no object"),
    "no rows": (text("train/metadata.jsonl", "\n"), "has no rows"),
    "no name": (row(file_name=...), "line 2: file_name is None"),
    "a number for a name": (row(file_name=5), "line 2: file_name is 5"),
    "no objects": (row(objects=...), "line 2: it has no objects"),
    "text for objects": (row(objects="two"), "line 2: objects is 'two'"),
    "no lists": (row(objects={"bbox": 1}), "line 2: bbox of its objects is 1, and no list"),
    "lists of other lengths": (things(category=["red", "red"]), "line 2: its objects have 1 bbox, 2 category"),
    "no boxes": (row(objects=[{"category": "red"}]), "line 2, object 1: bbox is None, and not four numbers"),
    "three numbers": (things(bbox=[[1, 2, 3]]), r"line 2, object 1: bbox is \[1, 2, 3\]"),
    "text in a box": (things(bbox=[[1, 2, "3", 4]]), "line 2, object 1: bbox is .*, and not four numbers"),
    "an empty box": (things(bbox=[[1, 2, 0, 4]]), "line 2, object 1: bbox .* is empty"),
    "a box beyond": (things(bbox=[[1, 2, 900, 4]]), "line 2, object 1: bbox .* reaches out of its image, train1.png"),
    "odd crowd": (things(iscrowd=[2]), "line 2, object 1: iscrowd is 2"),
    "odd area": (things(area=[-1.0]), "line 2, object 1: area is -1.0"),
    "no class": (row(objects=[{"bbox": [1, 2, 3, 4]}]), "gives classes as numbers, and no names"),
    "a class beyond": (
        lambda f: things(category=["blue"])(f) or {"class_list": ["red", "green"]},
        r"line 2, object 1: category_id is 'blue'; the categories are 0 \(red\)",
    ),
    "a number beyond": (
        lambda f: things(category=[2])(f) or {"class_list": ["red", "green"]},
        r"line 2, object 1: category_id is 2; the categories are",
    ),
    "a list for a class": (
        lambda f: things(category=[["red"]])(f) or {"class_list": ["red", "green"]},
        r"line 2, object 1: category_id is \['red'\]; the categories are",
    ),
    "numbers without names": (things(category=[0]), "gives classes as numbers, and no names"),
    "no image": (removed("train/train1.png"), "1 of 8 images are not in .*train: train1.png"),
    "an unreadable image": (
        lambda f: (f / "train/train1.png").write_bytes(b"x") and None,
        "1 of 8 images cannot be read",
    ),
    "an image twice": (row(file_name="train0.png"), "2 images have the file_name train0.png"),
    "another size": (row(width=5, height=5), "line 2, object 1: bbox .* reaches out|is .* pixels, not 5 × 5"),
    "two tables": (
        lambda f: shutil.copy(f / "train/metadata.jsonl", f / "train/metadata.parquet") and None,
        "metadata.jsonl, .*metadata.parquet for a split",
    ),
    "no parquet": (
        lambda f: (f / "train/metadata.jsonl").rename(f / "train/metadata.parquet") and None,
        "metadata.parquet cannot be read",
    ),
    "masks of boxes": (things(), "line 2, object 1: segmentation is None", "masks"),
    "keypoints of boxes": (things(), "line 2, object 1: keypoints is None", "keypoints"),
    "too few keypoints": (things(keypoints=[[1, 2, 2]]), "line 2, object 1: keypoints has 3 numbers", "keypoints"),
}


@pytest.mark.parametrize("case", OBJECTS)
def test_malformed_objects_of_an_image_folder_are_refused(
    case: str, written: Mapping[str, Path], tmp_path: Path
) -> None:
    refused(OBJECTS[case], written["objects"], tmp_path)


# ---- masks in PNG files ---------------------------------------------------------------------------------------


def pixels(path: str, change: Callable[[np.ndarray], np.ndarray], mode: str = "L") -> Damage:
    """Changes the values of a mask, which are written in another mode."""

    def damage(folder: Path) -> None:
        values = np.array(Image.open(folder / path))
        Image.fromarray(change(values), mode).save(folder / path)

    return damage


def classes(**values: Any) -> Damage:
    def damage(folder: Path) -> None:
        content = {**json.loads((folder / "classes.json").read_text()), **values}
        kept = {key: value for key, value in content.items() if value is not ...}
        (folder / "classes.json").write_text(json.dumps(kept))

    return damage


def coloured(folder: Path) -> None:
    classes(palette=[[0, 0, 0], [0, 128, 0]])(folder)


MASK, IDS = "masks/train1.png", "masks_instance/train1.png"

PALETTE: dict[str, Case] = {
    "no classes": (removed("classes.json"), "does not say what its masks show"),
    "classes no list": (classes(classes="thing"), "classes.json is 'thing', and no list of names"),
    "classes that are numbers": (classes(classes=[0, 1]), r"classes.json is \[0, 1\], and no list of names"),
    "a class twice": (classes(classes=["a", "a"]), "names a class twice"),
    "only background": (classes(classes=["background"], palette=...), "has no class of objects: background"),
    "classes no JSON": (text("classes.json", "{"), "classes.json cannot be read"),
    "a palette too short": (classes(palette=[[0, 0, 0]]), "is no palette of the 2 classes"),
    "a colour of two": (classes(palette=[[0, 0, 0], [128, 0]]), "is no palette of the 2 classes"),
    "a colour beyond": (classes(palette=[[0, 0, 0], [256, 0, 0]]), "is no palette of the 2 classes"),
    "a colour twice": (classes(palette=[[1, 0, 0], [1, 0, 0]]), "two classes the same colour"),
    "another colour": (coloured, r"train0.png has pixels of the colour \[128, 0, 0\], which no class has"),
    "a number beyond": (
        pixels(MASK, lambda values: values * 7),
        r"masks/train1.png has pixels of the number 7, and the 2 classes go from 0 to 1: background, thing",
    ),
    "colours without a palette": (
        both(classes(palette=...), lambda f: Image.open(f / MASK).convert("RGB").save(f / MASK)),
        "masks/train1.png has colours, and there is no palette",
    ),
    "a mask with transparency": (
        lambda f: Image.open(f / MASK).convert("LA").save(f / MASK),
        "masks/train1.png is in the mode LA",
    ),
    "objects in colours": (
        lambda f: Image.open(f / IDS).convert("RGB").save(f / IDS),
        "masks_instance/train1.png is in the mode RGB, and no mask of whole numbers",
    ),
    "an object that is nothing": (
        pixels(MASK, np.zeros_like),
        "masks_instance/train1.png: object 1 is of the class background",
    ),
    "a mask of another size": (shown(MASK), r"masks/train1.png is 25 × 25 pixels, and its image \d+ × \d+"),
    "ids of another size": (
        lambda f: Image.new("L", (25, 25)).save(f / IDS),
        r"masks_instance/train1.png is 25 × 25 pixels",
    ),
    "no mask": (removed(MASK), "train1: it has no mask"),
    "no ids": (removed(IDS), "train1: it has no mask"),
    "no image": (removed("images/train1.png"), "train1: no image in"),
    "an unreadable mask": (
        lambda f: (f / MASK).write_bytes(b"x") and None,
        "masks/train1.png cannot be read",
    ),
    "an unreadable image": (
        lambda f: (f / "images/train1.png").write_bytes(b"x") and None,
        "1 of 8 images cannot be read",
    ),
    "an empty list": (text("train.txt", ""), "train.txt names no images"),
    "listed twice": (text("train.txt", "train0\ntrain1\ntrain0"), "line 3: train0 is listed already in line 1"),
    "a list that is not there": (lambda f: {"train_ann_file": "nix.txt"}, "There is no file"),
    "shared images": (text("val.txt", "train0\nval0"), "1 images of .*val.txt are training images"),
    "keypoints": (lambda f: None, "masks in PNG files, which has no keypoints", "keypoints"),
}


@pytest.mark.parametrize("case", PALETTE)
def test_malformed_masks_in_png_files_are_refused(case: str, written: Mapping[str, Path], tmp_path: Path) -> None:
    refused(PALETTE[case], written["palette"], tmp_path, "masks")


def test_two_classes_in_one_object_are_refused(written: Mapping[str, Path], tmp_path: Path) -> None:
    def damage(folder: Path) -> dict[str, Any]:
        values = np.array(Image.open(folder / MASK))
        rows, columns = np.nonzero(np.array(Image.open(folder / IDS)) == 1)
        values[rows[0], columns[0]] = 2
        Image.fromarray(values, "L").save(folder / MASK)
        (folder / "classes.json").unlink()
        return {"class_list": ["background", "a", "b"]}

    refused(
        (damage, "object 1 is of the class a, b in .*, and not of one class"), written["palette"], tmp_path, "masks"
    )


def test_pixels_of_255_belong_to_nothing(written: Mapping[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(written["palette"], tmp_path / "data")
    before, _, _ = load_rows(AnnotatedImageOptions(path=str(copy)), 0, evaluate=True, wanted="masks")
    (copy / "classes.json").unlink()
    rows, columns = np.nonzero(np.array(Image.open(copy / IDS)) == 1)
    for path in (MASK, IDS):
        values = np.array(Image.open(copy / path))
        values[rows[:5], columns[:5]] = 255
        Image.fromarray(values, "L").save(copy / path)
    options = AnnotatedImageOptions(path=str(copy), class_list=["background", "thing"])
    after, _, _ = load_rows(options, 0, evaluate=True, wanted="masks")
    areas = [[one.area for one in each.objects[1]] for each in (before, after)]
    assert areas[1][0] == areas[0][0] - 5 and areas[1][1:] == areas[0][1:]


def test_difficult_objects_of_voc_count_as_crowds_do(written: Mapping[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(written["voc"], tmp_path / "data")
    field("difficult", "1")(copy)
    rows, _, _ = load_rows(AnnotatedImageOptions(path=str(copy)), 0, evaluate=True)
    assert [one.crowd for one in rows.objects[1]][:2] in ([True], [True, False])
