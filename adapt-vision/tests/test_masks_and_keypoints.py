"""Masks and keypoints from COCO's JSON to what a task is given."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import Params

from adapt_core.errors import AdaptError
from adapt_vision.annotations.augmentation import augmented, transform_for
from adapt_vision.annotations.coco import read_coco
from adapt_vision.annotations.keypoints import PERSON, SIGMA, guessed_pairs
from adapt_vision.annotations.masks import area_of, box_of, decoded, encoded
from adapt_vision.annotations.objects import Annotation, KeypointForm
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.rows import load_other_rows, load_rows

DATA = Path(os.environ.get("ADAPT_TEST_DATA", "../shared/data"))
NUCLEI = DATA / "instance_segmentation" / "dsb2018_nuclei"
MICE = DATA / "pose" / "openfield_mouse"
real = pytest.mark.skipif(not NUCLEI.is_dir() or not MICE.is_dir(), reason=f"no data sets in {DATA}")

SIZE = (12, 8)
SQUARE = np.zeros((8, 12), bool)
SQUARE[2:6, 3:9] = True


def whole(segmentation: Any, **values: Any) -> dict[str, Any]:
    """COCO's content: an image of 12 × 8 pixels with one object."""
    return {
        "images": [{"id": 5, "file_name": "a.png", "width": 12, "height": 8}],
        "categories": [{"id": 2, "name": "cell"}],
        "annotations": [
            {"id": 9, "image_id": 5, "category_id": 2, "bbox": [3, 2, 6, 4], "segmentation": segmentation, **values}
        ],
    }


def posed(points: Any, category: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    made = whole([], **values)
    names = {"keypoints": ["nose", "left_ear", "right_ear"], "skeleton": [[1, 2], [1, 3]]}
    made["categories"][0] |= {**names, **(category or {})}
    made["annotations"][0]["keypoints"] = points
    return made


GOOD = [3, 3, 2, 4, 5, 1, 0, 0, 0]


def read(content: dict[str, Any], folder: Path, wanted: Any, **options: Any) -> Any:
    (folder / "train.json").write_text(json.dumps(content))
    return read_coco(folder / "train.json", AnnotatedImageOptions(path=str(folder), **options), wanted)


# ---- masks ----------------------------------------------------------------------------------------------------

RLE = coco_mask.encode(np.asfortranarray(SQUARE.astype(np.uint8)))["counts"].decode()
UNCOMPRESSED = [26, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 26]


@pytest.mark.parametrize(
    "segmentation",
    [
        [[3, 2, 9, 2, 9, 6, 3, 6]],
        [[3, 2, 6, 2, 6, 6, 3, 6], [6, 2, 9, 2, 9, 6, 6, 6]],
        {"size": [8, 12], "counts": RLE},
        {"size": [8, 12], "counts": UNCOMPRESSED},
    ],
    ids=["polygon", "polygons", "compressed", "uncompressed"],
)
def test_every_kind_of_segmentation_gives_the_same_mask(segmentation: Any, tmp_path: Path) -> None:
    ((found,),) = read(whole(segmentation, iscrowd=1), tmp_path, "masks").objects
    assert found.crowd and (decoded(found.mask, SIZE) == SQUARE).all()
    assert (found.area, area_of(found.mask, SIZE), box_of(found.mask, SIZE)) == (24, 24, (3, 2, 6, 4))
    assert found.mask == encoded(SQUARE) == RLE


MASKS: dict[str, tuple[Any, str]] = {
    "none": (None, "annotation 9: segmentation is None"),
    "no polygon": ([], r"segmentation is \[\]"),
    "text": ("polygon", "segmentation is 'polygon', and neither"),
    "two points": ([[3, 2, 9, 2]], "polygon 0 of its segmentation has 4 numbers"),
    "an odd number": ([[3, 2, 9, 2, 9, 6, 3]], "polygon 0 of its segmentation has 7 numbers"),
    "a flat polygon": ([3, 2, 9, 2, 9, 6], "polygon 0 of its segmentation is 3, and no list of numbers"),
    "text in a polygon": ([[3, 2, 9, 2, "9", 6]], "polygon 0 .* no list of numbers"),
    "not finite": ([[3, 2, 9, 2, float("nan"), 6]], "polygon 0 .* no list of numbers"),
    "the second polygon": ([[3, 2, 9, 2, 9, 6], [1]], "polygon 1 of its segmentation has 1 numbers"),
    "too wide": ([[3, 2, 90, 2, 9, 6]], "polygon 0 .* reaches to 90, out of its image, whose width is 12"),
    "too high": ([[3, 2, 9, 2, 9, -6]], "reaches to -6, out of its image, whose height is 8"),
    "without pixels": ([[3, 2, 3, 2, 3, 2]], "annotation 9: its mask has no pixels"),
    "another size": ({"size": [12, 8], "counts": RLE}, r"height and width \[12, 8\], and its image is 12 × 8"),
    "no size": ({"counts": RLE}, "height and width None"),
    "no counts": ({"size": [8, 12]}, "counts of its segmentation is None"),
    "counts of text": ({"size": [8, 12], "counts": ["1"]}, r"counts of its segmentation is \['1'\]"),
    "too few pixels": ({"size": [8, 12], "counts": [26, 4]}, "run lengths are of 30 pixels, and its image has 96"),
    "negative": ({"size": [8, 12], "counts": [100, -4]}, "one of its run lengths is negative"),
    "cut": ({"size": [8, 12], "counts": "ooo"}, "compressed run lengths, 'ooo', are damaged"),
    "cut in a length": ({"size": [8, 12], "counts": RLE[:-1]}, "compressed run lengths, .* are damaged"),
    "other characters": ({"size": [8, 12], "counts": "!\x7f"}, "compressed run lengths, .* are damaged"),
    "cut at a length": ({"size": [8, 12], "counts": RLE[:-2]}, "run lengths are of"),
    "empty run lengths": ({"size": [8, 12], "counts": [96]}, "its mask has no pixels"),
}


@pytest.mark.parametrize("case", MASKS)
def test_malformed_masks_are_refused(case: str, tmp_path: Path) -> None:
    segmentation, message = MASKS[case]
    with pytest.raises(AdaptError, match=message):
        read(whole(segmentation), tmp_path, "masks")
    read(whole(segmentation), tmp_path, "boxes")  # it is nothing that boxes need


def test_masks_need_the_images_sizes(tmp_path: Path) -> None:
    content = whole([[3, 2, 9, 2, 9, 6, 3, 6]])
    del content["images"][0]["width"], content["images"][0]["height"]
    with pytest.raises(AdaptError, match=r"image 5 \(a.png\): width and height are missing, which masks need"):
        read(content, tmp_path, "masks")


@real
def test_masks_of_real_data_are_those_of_pycocotools() -> None:
    rows, evaluation, _ = load_rows(AnnotatedImageOptions(path=str(NUCLEI)), 0, evaluate=True, wanted="masks")
    other = COCO(str(NUCLEI / "annotations" / "train.json"))
    assert (len(rows), len(evaluation)) == (120, 40)
    found = {one.id: one.mask for objects in rows.objects for one in objects}
    assert found == {number: other.annToRLE(each)["counts"].decode() for number, each in other.anns.items()}


# ---- keypoints ------------------------------------------------------------------------------------------------


def test_keypoints_and_their_form_come_from_the_file_or_the_configuration(tmp_path: Path) -> None:
    split = read(posed(GOOD), tmp_path, "keypoints")
    assert split.objects[0][0].keypoints == ((3, 3, 2), (4, 5, 1), (0, 0, 0))
    assert split.form == KeypointForm(("nose", "left_ear", "right_ear"), ((1, 2),), ((0, 1), (0, 2)), (SIGMA,) * 3)
    stated = {"flip_pairs": [["nose", "left_ear"]], "sigmas": [0.1, 0.2, 0.3]}
    form = read(posed(GOOD, stated), tmp_path, "keypoints").form
    assert (form.flip_pairs, form.sigmas) == (((0, 1),), (0.1, 0.2, 0.3))
    asked = {
        "keypoint_names": ["a", "b", "c"],
        "flip_pairs": [["a", "c"]],
        "skeleton": [["a", "b"]],
        "sigmas": [1, 2, 3],
    }
    form = read(posed(GOOD), tmp_path, "keypoints", **asked).form
    assert form == KeypointForm(("a", "b", "c"), ((0, 2),), ((0, 1),), (1, 2, 3))


def test_a_person_s_sigmas_are_coco_s_own(tmp_path: Path) -> None:
    assert list(PERSON.values()) == pytest.approx(Params("keypoints").kpt_oks_sigmas)
    content = posed([0] * 51, {"keypoints": list(PERSON), "skeleton": []})
    form = read(content, tmp_path, "keypoints").form
    assert form.sigmas == tuple(PERSON.values())
    assert form.flip_pairs == tuple((place, place + 1) for place in range(1, 17, 2))


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["snout", "leftear", "rightear", "tailbase"], [(1, 2)]),
        (["EyeL", "EyeR", "Neck"], [(0, 1)]),
        (["L_Eye", "R_Eye", "LKnee", "RKnee"], [(0, 1), (2, 3)]),
        (["hip_r", "hip_l", "Right-Paw", "Left-Paw"], [(0, 1), (2, 3)]),
        (["bell", "tail", "left_only", "reel"], []),
    ],
)
def test_flip_pairs_are_guessed_from_names(names: list[str], pairs: list[tuple[int, int]]) -> None:
    assert guessed_pairs(names) == pairs


KEYPOINTS: dict[str, tuple[dict[str, Any], str]] = {
    "none": (posed(None), "annotation 9: keypoints is None"),
    "too few": (posed(GOOD[:6]), "annotation 9: keypoints has 6 numbers, and not three for each of 3"),
    "text": (posed(["3", *GOOD[1:]]), "annotation 9: keypoints is .*, and no list of x, y"),
    "not finite": (posed([float("inf"), *GOOD[1:]]), "annotation 9: keypoints is .*, and no list of x, y"),
    "odd visibility": (posed([*GOOD[:8], 3]), "the visibility of keypoint 2 is 3"),
    "outside": (posed([30, *GOOD[1:]]), r"keypoint 0, at \(30, 3\), is out of its image, a.png"),
    "another number": (posed(GOOD, num_keypoints=3), "num_keypoints is 3, and 2 of its keypoints are annotated"),
    "no names": (posed(GOOD, {"keypoints": None}), r"category 2 \(cell\): keypoints is None"),
    "empty names": (posed(GOOD, {"keypoints": []}), r"keypoints is \[\], and no list of names"),
    "names that are numbers": (posed(GOOD, {"keypoints": [1, 2, 3]}), "and no list of names"),
    "a name twice": (posed(GOOD, {"keypoints": ["a", "b", "a"]}), "two keypoints are called 'a'"),
    "skeleton from 0": (posed(GOOD, {"skeleton": [[0, 1]]}), "skeleton has 0, and the 3 keypoints are"),
    "skeleton beyond": (posed(GOOD, {"skeleton": [[1, 4]]}), "skeleton has 4"),
    "skeleton of three": (posed(GOOD, {"skeleton": [[1, 2, 3]]}), r"skeleton has \[1, 2, 3\], and no pair"),
    "skeleton no list": (posed(GOOD, {"skeleton": 5}), "skeleton is 5, and no list of pairs"),
    "a pair of one": (posed(GOOD, {"flip_pairs": [[2, 2]]}), r"flip_pairs has \[2, 2\], and no pair"),
    "two counterparts": (posed(GOOD, {"flip_pairs": [[1, 2], [2, 3]]}), "a keypoint is in two flip_pairs"),
    "an unknown name": (posed(GOOD, {"flip_pairs": [["nose", "toe"]]}), "flip_pairs has 'toe'"),
    "sigmas too few": (posed(GOOD, {"sigmas": [0.1]}), r"sigmas is \[0.1\], and not a number above 0 for each of the"),
    "sigma of nothing": (posed(GOOD, {"sigmas": [0.1, 0, 0.1]}), "and not a number above 0"),
}


@pytest.mark.parametrize("case", KEYPOINTS)
def test_malformed_keypoints_are_refused(case: str, tmp_path: Path) -> None:
    content, message = KEYPOINTS[case]
    with pytest.raises(AdaptError, match=message):
        read(content, tmp_path, "keypoints")
    read(content, tmp_path, "boxes")


def test_a_configuration_that_does_not_fit_the_keypoints_is_refused(tmp_path: Path) -> None:
    for options, message in (
        ({"keypoint_names": ["a"]}, "dataset.keypoint_names has 1 names, and the objects of .* have 3 keypoints"),
        ({"flip_pairs": [["nose", "toe"]]}, "dataset.flip_pairs: flip_pairs has 'toe'"),
        ({"sigmas": [0.1]}, "dataset.sigmas: sigmas is"),
    ):
        with pytest.raises(AdaptError, match=message):
            read(posed(GOOD), tmp_path, "keypoints", **options)


def test_categories_with_different_keypoints_are_refused(tmp_path: Path) -> None:
    content = posed(GOOD)
    content["categories"].append({"id": 3, "name": "dog", "keypoints": ["nose"]})
    with pytest.raises(AdaptError, match=r"category 3 \(dog\) has another keypoints than category 2 \(cell\)"):
        read(content, tmp_path, "keypoints")


@real
def test_keypoints_of_real_data_reach_the_rows_and_the_record_of_the_data() -> None:
    options = AnnotatedImageOptions(path=str(MICE))
    rows, evaluation, info = load_rows(options, 0, evaluate=True, wanted="keypoints")
    content = json.loads((MICE / "annotations" / "train.json").read_text())
    expected = [[float(value) for value in each["keypoints"]] for each in content["annotations"]]
    assert [[value for point in objects[0].keypoints for value in point] for objects in rows.objects] == expected
    assert rows.form == evaluation.form == rows.take([3, 1]).form
    assert info["keypoints"]["names"] == ["snout", "leftear", "rightear", "tailbase"]
    assert info["keypoints"]["flip_pairs"] == [[1, 2]]
    again, _ = load_other_rows(options, None, "validation", json.loads(json.dumps(info)), 0, "keypoints")
    assert again.objects == evaluation.objects
    assert load_other_rows(options, str(MICE), "validation", info, 0, "keypoints")[0].objects == evaluation.objects


# ---- augmentation ---------------------------------------------------------------------------------------------


def seen(name: Any, objects: list[Annotation], image: Image.Image) -> list[tuple[Any, Any]]:
    return [augmented(transform_for(name), image, objects, 0, epoch, 0) for epoch in range(24)]


def ellipse(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("L", size)
    ImageDraw.Draw(image).ellipse((box[0], box[1], box[0] + box[2] - 1, box[1] + box[3] - 1), fill=255)
    return image


@pytest.mark.parametrize("name", ["light", "standard"])
def test_masks_stay_with_the_image(name: str) -> None:
    """Objects are drawn white in the image: wherever it goes, its white pixels must be those of the masks."""
    size, boxes = (80, 60), [(5, 8, 20, 30), (45, 20, 25, 25)]
    shapes = [np.array(ellipse(size, box)) > 0 for box in boxes]
    picture = Image.fromarray(np.repeat((sum(shapes) * 255).astype(np.uint8)[..., None], 3, 2))
    objects = [
        Annotation(number, 0, box, 1.0, mask=encoded(shape))
        for number, (box, shape) in enumerate(zip(boxes, shapes, strict=True))
    ]
    sizes = set()
    for image, kept in seen(name, objects, picture):
        sizes.add(image.size)
        masks = [decoded(each.mask, image.size) for each in kept]
        white = np.array(image.convert("L")) > 100
        if len(kept) == 2:
            assert (np.logical_or(*masks) == white).mean() > 0.995
        for each, mask in zip(kept, masks, strict=True):
            assert (white | ~mask).mean() > 0.995 and each.area == mask.sum()
            ys, xs = mask.nonzero()
            assert abs(xs.min() - each.box[0]) <= 2 and abs(ys.max() + 1 - each.box[1] - each.box[3]) <= 2
    assert len(sizes) == 1 if name == "light" else len(sizes) > 5
