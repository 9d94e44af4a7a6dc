"""Parquet files that hold the images themselves, written by ``datasets`` from real ones."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import copies
import datasets
import pyarrow
import pytest
from pyarrow import parquet
from test_annotation_formats import loaded, require_same

from adapt_core.errors import AdaptError, UsageError
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.rows import load_rows as load_annotated
from adapt_vision.data.listing import from_row
from adapt_vision.data.options import ImageDataOptions
from adapt_vision.image_classification.rows import LabelledImages, load_rows

CLASSES = ["dress", "hat", "shirt"]


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The caches of ``datasets`` and of Adapt are the test's own."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hf"))
    monkeypatch.setenv("ADAPT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# ---- classes --------------------------------------------------------------------------------------------------


def clothes(test_data: Path, split: str, count: int) -> list[dict[str, Any]]:
    """The first images of three classes, as ``datasets`` takes them."""
    folder = test_data / "image_classification" / "clothing_small" / split
    return [
        {"image": {"bytes": path.read_bytes(), "path": path.name}, "label": number}
        for number, name in enumerate(CLASSES)
        for path in sorted((folder / name).iterdir())[:count]
    ]


def dataset(rows: list[dict[str, Any]]) -> datasets.Dataset:
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)}
    return datasets.Dataset.from_list(rows, features=datasets.Features(features))


def found(rows: LabelledImages, names: list[str]) -> Counter[tuple[str, str]]:
    """The content and the class of each image."""
    return Counter(
        (
            hashlib.sha256(content if isinstance(content, bytes) else Path(content).read_bytes()).hexdigest(),
            names[label],
        )
        for content, label in ((from_row(row["image"]), row["label"]) for row in rows)
    )


def expected(rows: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((hashlib.sha256(row["image"]["bytes"]).hexdigest(), CLASSES[row["label"]]) for row in rows)


@pytest.mark.parametrize("layout", ["splits", "shards", "file", "a shard"])
def test_classes_of_images_in_parquet(layout: str, test_data: Path, tmp_path: Path) -> None:
    train, validation = clothes(test_data, "train", 5), clothes(test_data, "validation", 2)
    folder = tmp_path / "set"
    place = folder if layout in ("splits", "file") else folder / "data"
    place.mkdir(parents=True)
    if layout in ("splits", "file"):
        dataset(train).to_parquet(str(place / "train.parquet"))
    else:
        for number in range(2):
            dataset(train[number * 7 : (number + 1) * 7 + number]).to_parquet(
                str(place / f"train-{number:05d}-of-00002.parquet")
            )
    dataset(validation).to_parquet(str(place / ("validation" + "-00000-of-00001" * (layout == "shards") + ".parquet")))
    path = {"file": place / "train.parquet", "a shard": place / "train-00001-of-00002.parquet"}.get(layout, folder)
    rows, evaluation, info = load_rows(ImageDataOptions(path=str(path)), 0, evaluate=path == folder)
    assert info["label_names"] == CLASSES
    assert found(rows, CLASSES) == expected(train)
    if path == folder:
        assert evaluation is not None and found(evaluation, CLASSES) == expected(validation)
    else:
        assert evaluation is None


def test_images_of_a_table_that_no_library_of_features_has_written(test_data: Path, tmp_path: Path) -> None:
    rows = clothes(test_data, "train", 2)
    table = pyarrow.table({"picture": [each["image"] for each in rows], "class": [CLASSES[r["label"]] for r in rows]})
    parquet.write_table(table, tmp_path / "train.parquet")
    options = ImageDataOptions(path=str(tmp_path / "train.parquet"), image_column="picture")
    train, _, info = load_rows(options, 0, evaluate=False)
    assert found(train, info["label_names"]) == expected(rows)


def test_splits_have_the_names_of_their_files_whatever_these_are(test_data: Path, tmp_path: Path) -> None:
    rows = clothes(test_data, "train", 1)
    for name in ("my-cats", "test 2 (old)", "train"):
        dataset(rows).to_parquet(str(tmp_path / f"{name}.parquet"))
    options = ImageDataOptions(path=str(tmp_path), train_split="my-cats", validation_split="test 2 (old)")
    train, evaluation, _ = load_rows(options, 0, evaluate=True)
    assert found(train, CLASSES) == expected(rows)
    assert evaluation is not None and found(evaluation, CLASSES) == expected(rows)


def test_a_shard_that_is_missing_is_told(test_data: Path, tmp_path: Path) -> None:
    dataset(clothes(test_data, "train", 1)).to_parquet(str(tmp_path / "train-00000-of-00003.parquet"))
    for path in (tmp_path, tmp_path / "train-00000-of-00003.parquet"):
        with pytest.raises(AdaptError, match="train"):
            load_rows(ImageDataOptions(path=str(path)), 0, evaluate=False)


def test_a_missing_shard_of_a_table_of_paths_is_told_too(tmp_path: Path) -> None:
    table = pyarrow.table({"file_name": ["one.jpg"], "label": ["hat"]})
    parquet.write_table(table, tmp_path / "train-00000-of-00003.parquet")
    with pytest.raises(AdaptError, match="has 1 Parquet files, and their names say 3"):
        load_rows(ImageDataOptions(path=str(tmp_path)), 0, evaluate=False)


def test_shards_without_images_do_not_matter_beside_folders_of_images(test_data: Path, tmp_path: Path) -> None:
    rows = clothes(test_data, "train", 1)
    for row in rows:
        folder = tmp_path / "train" / CLASSES[row["label"]]
        folder.mkdir(parents=True)
        (folder / "one.jpg").write_bytes(row["image"]["bytes"])
    parquet.write_table(pyarrow.table({"feature": [0.5]}), tmp_path / "features-00000-of-00003.parquet")
    train, _, info = load_rows(ImageDataOptions(path=str(tmp_path)), 0, evaluate=False)
    assert len(train) == len(rows) and set(info["label_names"]) == set(CLASSES)


# ---- objects --------------------------------------------------------------------------------------------------


def cells(coco: Path, split: str, *, named: bool = True) -> datasets.Dataset:
    """The rows of COCO's JSON with their images in them, as the hub's sets for object detection have them."""
    content = json.loads((coco / "annotations" / f"{split}.json").read_text())
    names = [each["name"] for each in sorted(content["categories"], key=lambda each: each["id"])]
    ids = sorted(each["id"] for each in content["categories"])
    rows = []
    for image in content["images"]:
        own = [each for each in content["annotations"] if each["image_id"] == image["id"]]
        objects = {
            "bbox": [each["bbox"] for each in own],
            "area": [each["area"] for each in own],
            "category": [ids.index(each["category_id"]) for each in own],
        }
        data = (coco / split / image["file_name"]).read_bytes()
        stored = {"bytes": data, "path": image["file_name"] if named else None}
        rows.append({"image_id": image["id"], "image": stored, "objects": objects})
    objects = {
        "bbox": datasets.List(datasets.List(datasets.Value("float64"))),
        "area": datasets.List(datasets.Value("float64")),
        "category": datasets.List(datasets.ClassLabel(names=names)),
    }
    features = {"image_id": datasets.Value("int64"), "image": datasets.Image(), "objects": objects}
    return datasets.Dataset.from_list(rows, features=datasets.Features(features))


@pytest.fixture
def coco(test_data: Path, tmp_path: Path) -> Path:
    return copies.subset(test_data / "object_detection" / "bccd", tmp_path / "coco", 4)


@pytest.mark.parametrize("layout", ["splits", "data", "file"])
def test_objects_of_images_in_parquet(layout: str, coco: Path, tmp_path: Path, caches: Path) -> None:
    folder = tmp_path / "set"
    place = folder / "data" if layout == "data" else folder
    place.mkdir(parents=True)
    ending = "-00000-of-00001" if layout == "data" else ""
    for split, name in (("train", "train"), ("val", "validation")):
        cells(coco, split).to_parquet(str(place / f"{name}{ending}.parquet"))
    named = {"val_ann_file": "validation.parquet"} if layout == "file" else {}
    train, evaluation, info = loaded(folder / "train.parquet" if layout == "file" else folder, **named)
    before = loaded(coco)
    require_same(train, before[0])
    require_same(evaluation, before[1])
    assert info["format"] == "objects" and info["label_names"] == ["RBC", "WBC", "Platelets"]
    assert [each.sha256 for each in train.found] == [each.sha256 for each in before[0].found]
    written = sorted(path.stat().st_mtime_ns for path in (caches / "images").rglob("*.jpg"))
    assert len(written) == 8
    loaded(folder / "train.parquet" if layout == "file" else folder, **named)
    assert sorted(path.stat().st_mtime_ns for path in (caches / "images").rglob("*.jpg")) == written, "written once"


def test_images_without_names_are_numbered_by_row(coco: Path, tmp_path: Path) -> None:
    cells(coco, "train", named=False).to_parquet(str(tmp_path / "train.parquet"))
    options = AnnotatedImageOptions(path=str(tmp_path / "train.parquet"))
    train, _, _ = load_annotated(options, 0, evaluate=False)
    assert [Path(path).name for path in train.images] == [f"{number:06d}.jpeg" for number in range(1, 5)]


@pytest.mark.parametrize("column", ["image", "mask"])
@pytest.mark.parametrize("held", [True, False])
def test_images_in_a_table_go_before_names_of_files(column: str, held: bool, coco: Path, tmp_path: Path) -> None:
    rows = cells(coco, "train").cast_column("image", datasets.Image(decode=False)).to_list()
    for number, row in enumerate(rows, 1):
        stored = row.pop("image")
        (tmp_path / f"{number}.jpg").write_bytes(stored["bytes"])
        row |= {"file_name": f"{number}.jpg", column: stored if held else {**stored, "bytes": None}}
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "train.parquet")
    options = AnnotatedImageOptions(path=str(tmp_path / "train.parquet"), class_list=["RBC", "WBC", "Platelets"])
    train, _, _ = load_annotated(options, 0, evaluate=False)
    from_cache = {Path(path).parent != tmp_path for path in train.images}
    assert from_cache == {held and column == "image"}


@pytest.mark.parametrize("name", ["other", "train"])
def test_stray_parquet_files_do_not_hide_another_format(name: str, coco: Path, tmp_path: Path) -> None:
    expected, _, _ = loaded(coco)
    yolo = copies.to_yolo(coco, tmp_path / "yolo")
    stray = cells(coco, "train") if name == "other" else cells(coco, "train").remove_columns("objects")
    for folder in (coco, yolo):
        stray.to_parquet(str(folder / f"{name}-00000-of-00003.parquet"))
        train, _, _ = loaded(folder)
        require_same(train, expected)


@pytest.mark.parametrize("names", [["train-00000-of-00003"], ["train", "train-00000-of-00001"]])
def test_objects_in_other_files_than_a_split_has_are_told(names: list[str], coco: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for name in names:
        cells(coco, "train").to_parquet(str(folder / f"{name}.parquet"))
    with pytest.raises(AdaptError, match="of 3 Parquet files" if len(names) == 1 else "for a split"):
        load_annotated(AnnotatedImageOptions(path=str(folder)), 0, evaluate=False)


PROCESS = """
import os, sys, time
from pathlib import Path
from adapt_vision.data import parquet

folder, write = Path(sys.argv[1]), parquet._write

def slowly(*given):
    (folder / f"written by {os.getpid()}").touch()
    time.sleep(1)
    return write(*given)

parquet._write = slowly
(folder / f"ready {os.getpid()}").touch()
while len(list(folder.glob("ready *"))) < 2:
    time.sleep(0.01)
images, names = parquet.written([folder / "train.parquet"], "image")
print(images.stat().st_ino, len(names))
"""


def test_processes_that_open_a_table_at_once_write_its_images_once(coco: Path, tmp_path: Path) -> None:
    cells(coco, "train").to_parquet(str(tmp_path / "train.parquet"))
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert told[0] == told[1] and told[0][1] == "4", "the same folder"
    assert len(list(tmp_path.glob("written by *"))) == 1


def test_what_a_table_of_images_lacks_is_told(coco: Path, tmp_path: Path) -> None:
    rows = cells(coco, "train").cast_column("image", datasets.Image(decode=False)).to_list()
    rows[2]["image"] = None
    features = cells(coco, "train").features
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(tmp_path / "train.parquet"))
    options = AnnotatedImageOptions(path=str(tmp_path / "train.parquet"))
    with pytest.raises(AdaptError, match="row 3 holds no image in column 'image'"):
        load_annotated(options, 0, evaluate=False)
    cells(coco, "train").to_parquet(str(tmp_path / "train.parquet"))
    with pytest.raises(UsageError, match="image_root"):
        load_annotated(options.model_copy(update={"image_root": str(tmp_path)}), 0, evaluate=False)
    cells(coco, "train").remove_columns("image").to_parquet(str(tmp_path / "train.parquet"))
    with pytest.raises(AdaptError, match="no column file_name and none with images"):
        load_annotated(options, 0, evaluate=False)


# ---- lists below the folder -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["voc", "palette"])
def test_a_list_in_imagesets_may_be_the_path(kind: str, test_data: Path, tmp_path: Path) -> None:
    if kind == "voc":
        folder = copies.to_voc(
            copies.subset(test_data / "object_detection" / "bccd", tmp_path / "coco", 4), tmp_path / "x"
        )
        place, options = "ImageSets/Main", {}
    else:
        source = copies.subset(test_data / "instance_segmentation" / "dsb2018_nuclei", tmp_path / "coco", 3)
        folder, place = copies.to_palette(source, tmp_path / "x"), "ImageSets/Segmentation"
        options = {"class_list": ["background", "nucleus"]}
        (folder / place).mkdir(parents=True)
        for split in ("train", "val"):
            shutil.move(folder / f"{split}.txt", folder / place / f"{split}.txt")
    wanted: Any = "boxes" if kind == "voc" else "masks"
    train, evaluation, _ = loaded(folder, wanted, **options)
    for val in ("val.txt", f"{place}/val.txt"):
        found_train, found_evaluation, info = loaded(folder / place / "train.txt", wanted, val_ann_file=val, **options)
        require_same(found_train, train)
        require_same(found_evaluation, evaluation)
        assert info["splits"] == {"train": "train.txt", "validation": "val.txt"}
    by_name, evaluated, _ = loaded(
        folder, wanted, train_ann_file="train.txt", val_ann_file=f"{place}/val.txt", **options
    )
    require_same(by_name, train)
    require_same(evaluated, evaluation)
