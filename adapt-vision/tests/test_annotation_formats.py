"""Copies of one data set in every format give the same rows."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import copies
import numpy as np
import pytest
import yaml
from PIL import Image

from adapt_core.errors import AdaptError
from adapt_vision.annotations.masks import decoded
from adapt_vision.annotations.objects import AnnotatedImages
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.rows import load_other_rows, load_rows

DATA = Path(os.environ.get("ADAPT_TEST_DATA", "../shared/data"))
CELLS = DATA / "object_detection" / "bccd"
NUCLEI = DATA / "instance_segmentation" / "dsb2018_nuclei"
PALETTE = DATA / "instance_segmentation" / "dsb2018_nuclei_palette"
MICE = DATA / "pose" / "openfield_mouse"
pytestmark = pytest.mark.skipif(not CELLS.is_dir(), reason=f"no data sets in {DATA}")


def loaded(folder: Path, wanted: Any = "boxes", **options: Any) -> tuple[AnnotatedImages, AnnotatedImages, Any]:
    train, evaluation, info = load_rows(
        AnnotatedImageOptions(path=str(folder), **options), 0, evaluate=True, wanted=wanted
    )
    assert evaluation is not None
    return train, evaluation, info


def require_same(one: AnnotatedImages, other: AnnotatedImages, *, areas: bool = True) -> None:
    """The same objects in the same images, but for their order among images and the rounding of what is written."""
    assert one.form == other.form
    ours, theirs = (
        {Path(path).name: objects for path, objects in zip(rows.images, rows.objects, strict=True)}
        for rows in (one, other)
    )
    assert set(ours) == set(theirs)
    for name, objects in ours.items():
        assert len(objects) == len(theirs[name])
        for each, its in zip(objects, theirs[name], strict=True):
            assert (each.category, each.crowd) == (its.category, its.crowd)
            assert each.box == pytest.approx(its.box, abs=1e-4)
            assert not areas or each.area == pytest.approx(its.area, abs=0.1)
            points = [value for point in each.keypoints for value in point]
            assert points == pytest.approx([value for point in its.keypoints for value in point], abs=1e-4)


@pytest.mark.parametrize("name", ["yolo", "voc", "objects", "objects in parquet"])
def test_boxes_are_the_same_in_every_format(name: str, tmp_path: Path) -> None:
    coco = copies.subset(CELLS, tmp_path / "coco", 6)
    content = json.loads((coco / "annotations" / "train.json").read_text())
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] != content["images"][2]["id"]]
    (coco / "annotations" / "train.json").write_text(json.dumps(content))  # one image has no objects
    write: Any = {"yolo": copies.to_yolo, "voc": copies.to_voc}.get(name, copies.to_objects)
    further = ("metadata.parquet",) if "parquet" in name else ()
    written = write(coco, tmp_path / "copy", *further)
    # These formats name classes in no order, but the parquet file.
    options = {} if name in ("yolo", "objects in parquet") else {"class_list": ["RBC", "WBC", "Platelets"]}
    train, evaluation, info = loaded(written, **options)
    expected = loaded(coco)
    require_same(train, expected[0])
    require_same(evaluation, expected[1])
    assert (info["format"], info["labels"]) == (name.split()[0], expected[2]["labels"])
    assert info["label_names"] == ["RBC", "WBC", "Platelets"] and min(map(len, train.objects)) == 0


@pytest.mark.parametrize("name", ["yolo", "objects"])
def test_masks_are_the_same_in_every_format(name: str, tmp_path: Path) -> None:
    coco = copies.subset(NUCLEI, tmp_path / "coco", 3)
    written = (
        copies.to_objects(coco, tmp_path / "x") if name == "objects" else copies.to_yolo(coco, tmp_path / "x", "masks")
    )
    expected = loaded(coco, "masks")[0]
    train = loaded(written, "masks")[0]
    for row, path in enumerate(train.images):
        other = next(n for n, each in enumerate(expected.images) if Path(each).name == Path(path).name)
        size = train.found[row].size
        for one, its in zip(train.objects[row], expected.objects[other], strict=True):
            ours, theirs = decoded(str(one.mask), size), decoded(str(its.mask), size)
            assert (ours & theirs).sum() / (ours | theirs).sum() > 0.99


@pytest.mark.parametrize("colours", [False, True])
def test_masks_in_png_files_are_those_of_coco(colours: bool, tmp_path: Path) -> None:
    coco = copies.subset(NUCLEI, tmp_path / "coco", 3)
    written = copies.to_palette(coco, tmp_path / "palette", colours=colours)
    palette = {"palette": [[0, 0, 0], [128, 0, 0]]} if colours else {}
    train, _, info = loaded(written, "masks", class_list=["background", "nucleus"], **palette)
    expected = loaded(coco, "masks")[0]
    assert info["label_names"] == ["nucleus"]
    for ours, theirs, found in zip(train.objects, expected.objects, expected.found, strict=True):
        covered = np.zeros(found.size[::-1], bool)
        for one, its in zip(ours[::-1], theirs[::-1], strict=True):  # the later lies above
            mask = decoded(str(its.mask), found.size) & ~covered
            assert (decoded(str(one.mask), found.size) == mask).all()
            assert one.area == mask.sum()
            covered |= mask


def test_real_masks_in_png_files_have_as_many_objects_as_their_coco_copy() -> None:
    train, evaluation, info = loaded(PALETTE, "masks")
    expected = loaded(NUCLEI, "masks")
    assert info["format"] == "palette" and info["splits"] == {"train": "train.txt", "validation": "val.txt"}
    for rows, other in ((train, expected[0]), (evaluation, expected[1])):
        counts, others = (
            {Path(path).stem: len(objects) for path, objects in zip(each.images, each.objects, strict=True)}
            for each in (rows, other)
        )
        assert counts == others
        # What COCO's polygons cover is, but for edges, what the masks show.
        areas = [sum(one.area for objects in each.objects for one in objects) for each in (rows, other)]
        assert areas[0] == pytest.approx(areas[1], rel=0.02)


def test_without_instance_masks_objects_are_what_hangs_together(tmp_path: Path) -> None:
    from scipy import ndimage

    coco = copies.subset(NUCLEI, tmp_path / "coco", 2)
    written = copies.to_palette(coco, tmp_path / "palette", instances=False)
    train, _, _ = loaded(written, "masks", class_list=["background", "nucleus"])
    for objects, found, path in zip(train.objects, train.found, train.images, strict=True):
        mask = np.asarray(Image.open(written / "masks" / f"{Path(path).stem}.png"))
        assert len(objects) == ndimage.label(mask, np.ones((3, 3)))[1] > 1
        union = np.logical_or.reduce([decoded(str(one.mask), found.size) for one in objects])
        assert (union == (mask == 1)).all()


@pytest.mark.parametrize("name", ["yolo", "objects"])
def test_keypoints_are_the_same_in_every_format(name: str, tmp_path: Path) -> None:
    coco = copies.subset(MICE, tmp_path / "coco", 5)
    for split in copies.SPLITS:  # which other formats do not tell
        content = json.loads((coco / "annotations" / f"{split}.json").read_text())
        del content["categories"][0]["skeleton"]
        for each in content["annotations"]:
            each["area"] = each["bbox"][2] * each["bbox"][3]
        (coco / "annotations" / f"{split}.json").write_text(json.dumps(content))
    expected = loaded(coco, "keypoints")
    if name == "yolo":
        written, options = copies.to_yolo(coco, tmp_path / "x", "keypoints"), {}
    else:
        written = copies.to_objects(coco, tmp_path / "x")
        options = {"keypoint_names": ["snout", "leftear", "rightear", "tailbase"]}
    train, evaluation, _ = loaded(written, "keypoints", **options)
    require_same(train, expected[0])
    require_same(evaluation, expected[1])


def test_a_run_is_evaluated_on_data_of_another_format(tmp_path: Path) -> None:
    coco = copies.subset(CELLS, tmp_path / "coco", 4)
    options = AnnotatedImageOptions(path=str(coco), format="coco")
    _, evaluation, info = load_rows(options, 0, evaluate=True)
    for write in (copies.to_yolo, copies.to_voc, copies.to_objects):
        other = write(coco, tmp_path / write.__name__)
        rows, _ = load_other_rows(options, str(other), "validation", info, 0)
        require_same(rows, evaluation)


def test_a_file_may_be_named_instead_of_its_folder(tmp_path: Path) -> None:
    coco = copies.subset(CELLS, tmp_path / "coco", 3)
    yolo, objects = copies.to_yolo(coco, tmp_path / "yolo"), copies.to_objects(coco, tmp_path / "objects")
    info = loaded(yolo / "data.yaml")[2]
    assert info["splits"] == {"train": "data.yaml, train", "validation": "data.yaml, validation"}
    assert info["evaluation"] == "split data.yaml, validation"
    assert loaded(objects)[2]["evaluation"] == "split val/metadata.jsonl"
    info = loaded(objects / "train" / "metadata.jsonl", validation_share=0.3)[2]
    assert info["rows"] == {"train": 2, "validation": 1} and info["evaluation"] == "held out from metadata.jsonl"


def test_other_files_of_yaml_and_xml_are_no_annotations(tmp_path: Path) -> None:
    coco = copies.subset(CELLS, tmp_path / "coco", 2)
    (coco / "notes.yaml").write_text("- a list")
    (coco / "pom.xml").write_text("<project/>")
    assert loaded(coco)[2]["format"] == "coco"


def test_several_formats_in_one_folder_are_refused_unless_one_is_named(tmp_path: Path) -> None:
    coco = copies.subset(CELLS, tmp_path / "data", 3)
    copies.to_yolo(coco, coco)
    with pytest.raises(AdaptError, match=r"several formats: COCO's JSON \(coco\) and YOLO's text files \(yolo\)"):
        loaded(coco)
    assert loaded(coco, format="coco")[2]["format"] == "coco"
    assert loaded(coco, format="yolo")[2]["format"] == "yolo"


def test_what_a_format_has_not_and_foreign_files_are_named(tmp_path: Path) -> None:
    coco = copies.subset(CELLS, tmp_path / "coco", 2)
    voc = copies.to_voc(coco, tmp_path / "voc")
    with pytest.raises(AdaptError, match="holds Pascal VOC's XML, which has no keypoints"):
        loaded(voc, "keypoints")
    foreign = tmp_path / "foreign"
    shutil.copytree(coco / "train", foreign / "train")
    (foreign / "train" / "a.tfrecord").write_bytes(b"x")
    with pytest.raises(AdaptError, match=r"no annotations that are read here; it has files with 1 .tfrecord"):
        loaded(foreign)
    with pytest.raises(AdaptError, match=r"a.csv, which is named for the train split, is of no format"):
        loaded(coco, train_ann_file="a.csv")
    with pytest.raises(AdaptError, match="are not of one format"):
        loaded(coco, train_ann_file="a.json", val_ann_file="b.jsonl")


def test_options_of_what_is_not_read_are_refused(tmp_path: Path) -> None:
    coco = copies.subset(CELLS, tmp_path / "coco", 2)
    for options, message in (
        ({"palette": [[0, 0, 0]]}, "dataset.palette is of masks in PNG files, and the data is in the format coco"),
        ({"sigmas": [0.1]}, "dataset.sigmas is of keypoints, and the task reads boxes"),
    ):
        with pytest.raises(AdaptError, match=message):
            loaded(coco, **options)


def test_splits_of_yolo_may_share_a_folder(tmp_path: Path) -> None:
    coco = copies.subset(CELLS, tmp_path / "coco", 4)
    apart = copies.to_yolo(coco, tmp_path / "apart")
    together = tmp_path / "together"
    content: dict[str, Any] = yaml.safe_load((apart / "data.yaml").read_text())
    for split in copies.SPLITS:
        for kind in ("images", "labels"):
            for file in sorted((apart / kind / split).iterdir()):
                copies.link(file, together / kind / file.name)
        names = [f"images/{each.name}" for each in sorted((apart / "images" / split).iterdir())]
        (together / f"{split}.txt").write_text("\n".join(names))
        content[split] = f"{split}.txt"
    (together / "data.yaml").write_text(yaml.safe_dump({**content, "test": "images/elsewhere"}))
    expected = loaded(apart)
    for rows, other in zip(loaded(together)[:2], expected[:2], strict=True):
        require_same(rows, other)
    (together / "labels" / "odd.txt").write_text("")
    with pytest.raises(AdaptError, match=r"labels/odd\.txt belongs to no image"):
        loaded(together)


def test_lists_of_yolo_may_lie_among_images_and_labels(tmp_path: Path) -> None:
    coco = copies.subset(CELLS, tmp_path / "coco", 3)
    apart = copies.to_yolo(coco, tmp_path / "apart")
    flat = tmp_path / "flat"
    content: dict[str, Any] = yaml.safe_load((apart / "data.yaml").read_text())
    for split in copies.SPLITS:
        for kind in ("images", "labels"):
            for file in sorted((apart / kind / split).iterdir()):
                copies.link(file, flat / file.name)
        names = [each.name for each in sorted((apart / "images" / split).iterdir())]
        (flat / f"{split}.txt").write_text("\n".join(names))
        content[split] = f"{split}.txt"
    (flat / "data.yaml").write_text(yaml.safe_dump(content))
    require_same(loaded(flat)[1], loaded(apart)[1])


def test_names_with_dots_have_their_own_masks(tmp_path: Path) -> None:
    """Each image has an object of its own width; ``cell`` is the start of other names, too."""
    widths = {"frame.0001": 3, "frame.0002": 5, "cell": 7, "cell.crop": 9}
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for name, width in widths.items():
        Image.new("RGB", (16, 16)).save(tmp_path / "images" / f"{name}.jpg")
        mask = np.zeros((16, 16), np.uint8)
        mask[2:4, :width] = 1
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
    for endings in ("", ".jpg"):
        (tmp_path / "train.txt").write_text("\n".join(f"{name}{endings}" for name in widths))
        options = AnnotatedImageOptions(path=str(tmp_path), class_list=["background", "cell"])
        rows, _, _ = load_rows(options, 0, evaluate=False, wanted="masks")
        found = {Path(path).stem: one.box[2] for path, (one,) in zip(rows.images, rows.objects, strict=True)}
        assert found == widths


def test_a_mask_of_two_images_is_refused(tmp_path: Path) -> None:
    for folder in ("images/a", "images/b", "masks"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a/1", "b/1"):
        Image.new("RGB", (16, 16)).save(tmp_path / "images" / f"{name}.jpg")
    Image.new("L", (16, 16), 1).save(tmp_path / "masks" / "1.png")
    (tmp_path / "train.txt").write_text("a/1\nb/1")
    with pytest.raises(AdaptError, match=r"2 images share the mask .*masks/1\.png"):
        loaded(tmp_path, "masks", class_list=["background", "cell"])


def test_a_file_of_coco_finds_the_images_of_the_usual_layout(tmp_path: Path) -> None:
    coco = copies.subset(CELLS, tmp_path / "coco", 4)
    expected, evaluation, info = loaded(coco)
    file = coco / "annotations" / "train.json"
    rows, _, _ = load_rows(AnnotatedImageOptions(path=str(file)), 0, evaluate=False)
    assert (rows.images, rows.objects) == (expected.images, expected.objects)
    options = AnnotatedImageOptions(path=str(coco), image_root=str(tmp_path))
    rows, _ = load_other_rows(options, str(coco / "annotations" / "val.json"), None, info, 0)
    assert (rows.images, rows.objects) == (evaluation.images, evaluation.objects)


@pytest.mark.parametrize("name", ["yolo", "objects"])
def test_numbers_for_names_tell_no_sides(name: str, tmp_path: Path) -> None:
    coco = copies.subset(MICE, tmp_path / "coco", 3)
    if name == "yolo":
        written = copies.to_yolo(coco, tmp_path / "x", "keypoints")
        content = yaml.safe_load((written / "data.yaml").read_text())
        del content["kpt_names"], content["flip_idx"]
        (written / "data.yaml").write_text(yaml.safe_dump(content))
    else:
        written = copies.to_objects(coco, tmp_path / "x")
    for options, expected in (
        ({}, None),
        ({"flip_pairs": []}, ()),
        ({"flip_pairs": [("1", "2")]}, ((1, 2),)),
        ({"keypoint_names": ["snout", "leftear", "rightear", "tailbase"]}, ((1, 2),)),
    ):
        form = loaded(written, "keypoints", **options)[0].form
        assert form is not None and form.flip_pairs == expected
