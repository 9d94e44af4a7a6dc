"""Average precision is COCO's, by examples worked out by hand; what readers and augmentation give is what they say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adapt_core.interfaces import World
from adapt_vision.annotations.augmentation import augmented, transform_for
from adapt_vision.annotations.coco import read_coco
from adapt_vision.annotations.drawing import Shown, drawn
from adapt_vision.annotations.measuring import DetectionMeter, average_precision, table
from adapt_vision.annotations.objects import AnnotatedImages, Annotation
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.rows import load_rows
from adapt_vision.data.integrity import ImageFile


def rows_of(*objects: Sequence[Annotation]) -> AnnotatedImages:
    return AnnotatedImages("x", ["x"] * len(objects), [ImageFile((100, 100), "")] * len(objects), objects)


def thing(number: int, box: Sequence[float], category: int = 0, *, crowd: bool = False) -> Annotation:
    return Annotation(number, category, tuple(box), box[2] * box[3], crowd)  # type: ignore[arg-type]


def boxes(*found: Sequence[float]) -> np.ndarray:
    return np.array(found, dtype=float).reshape(-1, 6)


ONE, OTHER = [10, 10, 20, 20], [50, 50, 20, 20]


def test_two_of_two_found_is_one() -> None:
    rows = rows_of([thing(1, ONE), thing(2, OTHER)])
    metrics, by_class = average_precision(rows, {0: boxes([*ONE, 0.9, 0], [*OTHER, 0.8, 0])}, 1)
    assert metrics["ap"] == metrics["ap50"] == metrics["ap_small"] == pytest.approx(1)
    assert "ap_large" not in metrics  # there is no large object
    assert by_class == [pytest.approx(1)]


def test_a_mistake_between_two_hits_costs_what_the_curve_says() -> None:
    # Precision is 1 up to recall 1/2, then 2/3: of 101 recalls, 51 are at most 1/2.
    rows = rows_of([thing(1, ONE), thing(2, OTHER)])
    found = {0: boxes([*ONE, 0.9, 0], [70, 10, 20, 20, 0.8, 0], [*OTHER, 0.7, 0])}
    assert average_precision(rows, found, 1)[0]["ap50"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_an_overlap_counts_from_its_threshold_on() -> None:
    # 20 × 20 against 20 × 16 within it: IoU 0.8, so that 0.50, 0.55, … 0.80 count: 7 of 10 thresholds.
    metrics, _ = average_precision(rows_of([thing(1, ONE)]), {0: boxes([10, 10, 20, 16, 0.9, 0])}, 1)
    assert (metrics["ap"], metrics["ap50"], metrics["ap75"]) == pytest.approx((0.7, 1, 1))


def test_a_box_on_an_empty_image_is_a_mistake_and_one_on_a_crowd_is_none() -> None:
    hit, stray = [*ONE, 0.5, 0], [*OTHER, 0.9, 0]
    empty = average_precision(rows_of([thing(1, ONE)], []), {0: boxes(hit), 1: boxes(stray)}, 1)[0]
    assert empty["ap50"] == pytest.approx(0.5)
    crowd = rows_of([thing(1, ONE)], [thing(2, [40, 40, 50, 50], crowd=True)])
    assert average_precision(crowd, {0: boxes(hit), 1: boxes(stray)}, 1)[0]["ap50"] == pytest.approx(1)


def test_classes_are_measured_apart_and_absent_ones_left_out() -> None:
    rows = rows_of([thing(1, ONE, 0), thing(2, OTHER, 1)])
    metrics, by_class = average_precision(rows, {0: boxes([*ONE, 0.9, 0], [*OTHER, 0.9, 0])}, 3)
    assert metrics["ap50"] == pytest.approx(0.5)
    assert by_class[:2] == [pytest.approx(1), 0] and np.isnan(by_class[2])


def test_nothing_found_is_zero() -> None:
    metrics, by_class = average_precision(rows_of([thing(1, ONE)]), {0: boxes()}, 1)
    assert metrics["ap"] == 0 and by_class == [0]


def test_the_meter_gives_the_same_however_rows_are_batched() -> None:
    draw = np.random.default_rng(0)
    corners = draw.uniform(0, 60, (6, 8, 2))
    found = [
        {
            "boxes": torch.tensor(np.concatenate([each, each + 20], -1)),
            "scores": torch.tensor(draw.uniform(size=8)),
            "labels": torch.tensor(draw.integers(0, 2, 8)),
        }
        for each in corners
    ]
    objects = [[thing(row + 1, [*corners[row, 0] + 2, 20, 20], row % 2)] for row in range(6)]
    results = []
    for batches in ([range(6)], [range(4, 6), range(4)]):
        meter = DetectionMeter(rows_of(*objects), ["a", "b"])
        for batch in batches:
            meter.update({"rows": torch.tensor(list(batch))}, {"found": [found[row] for row in batch]})
        results.append(meter.result(World()))
    assert results[0].metrics == results[1].metrics
    assert 0 < results[0].metrics["ap50"] < 1


def test_what_is_kept_of_an_image_is_the_best_hundred_boxes() -> None:
    scores = torch.linspace(0, 1, 300)
    made = table({"boxes": torch.tensor([[1.0, 2, 4, 8]]).repeat(300, 1), "scores": scores, "labels": scores.long()})
    assert made.shape == (100, 6)
    assert made[0].tolist() == [1, 2, 3, 6, 1, 1]
    assert made[-1, 4] == pytest.approx(float(scores[200]))


# ---- reading --------------------------------------------------------------------------------------------------


def test_ids_with_gaps_empty_images_and_crowds_come_out_right(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (30, 20), (len(name), ord(name[0]), 0)).save(tmp_path / "images" / name)
    content = {
        "images": [{"id": n, "file_name": f"{name}.png"} for n, name in ((7, "c"), (5, "a"), (9, "b"))],
        "annotations": [
            {"id": 4, "image_id": 9, "category_id": 90, "bbox": [1, 2, 3, 4], "iscrowd": 1, "area": 5},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [-0.5, 0, 10, 20.5]},
        ],
        "categories": [{"id": 90, "name": "z"}, {"id": 2, "name": "y"}],
    }
    (tmp_path / "train.json").write_text(json.dumps(content))
    rows, evaluation, info = load_rows(AnnotatedImageOptions(path=str(tmp_path)), 0, evaluate=False)
    assert evaluation is None
    assert info["label_names"] == ["y", "z"] and info["category_ids"] == [2, 90] and info["labels"] == {"y": 1, "z": 1}
    assert [Path(each).name for each in rows.images] == ["c.png", "a.png", "b.png"]
    assert rows.objects[0] == [Annotation(2, 0, (0.0, 0.0, 9.5, 20.5), 9.5 * 20.5)]
    assert list(rows.objects[1]) == []
    assert rows.objects[2] == [Annotation(4, 1, (1.0, 2.0, 3.0, 4.0), 5.0, True)]


@pytest.mark.parametrize(
    ("names", "options"),
    [
        ({"annotations/instances_train2017.json": "train2017", "annotations/instances_val2017.json": "val2017"}, {}),
        ({"train/_annotations.coco.json": "train", "valid/_annotations.coco.json": "valid"}, {}),
        ({"train.json": "images/train", "val.json": "images/val"}, {}),
        (
            {"annotations/mine.json": "pictures", "annotations/theirs.json": "pictures"},
            {"train_ann_file": "mine.json", "val_ann_file": "theirs.json", "image_root": "pictures"},
        ),
    ],
)
def test_usual_layouts_are_found(names: dict[str, str], options: dict[str, str], objects: Path, tmp_path: Path) -> None:
    for (file, images), split in zip(names.items(), ("train", "val"), strict=True):
        for folder in (tmp_path / images, (tmp_path / file).parent):
            folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text((objects / "annotations" / f"{split}.json").read_text())
        for each in (objects / split).iterdir():
            (tmp_path / images / each.name).write_bytes(each.read_bytes())
    root = {"image_root": str(tmp_path / options["image_root"])} if options else {}
    made = AnnotatedImageOptions(path=str(tmp_path), **{**options, **root})
    rows, evaluation, info = load_rows(made, 0, evaluate=True)
    assert (len(rows), len(evaluation or [])) == (8, 4)
    # Two files of one name are called by their folders too.
    called = list(names) if len({Path(name).name for name in names}) == 1 else [Path(name).name for name in names]
    assert info["splits"] == dict(zip(("train", "validation"), called, strict=True))


def test_real_annotations_are_those_of_pycocotools(test_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pycocotools.coco import COCO

    path = test_data / "object_detection" / "bccd" / "annotations" / "val.json"
    split, other = read_coco(path, AnnotatedImageOptions(path=".")), COCO(str(path))
    for number, objects in zip(split.ids, split.objects, strict=True):
        theirs = other.loadAnns(other.getAnnIds(number))
        assert [(each.id, each.category, list(each.box)) for each in objects] == [
            (each["id"], each["category_id"], pytest.approx(each["bbox"], abs=1)) for each in theirs
        ]


# ---- augmentation and drawing ---------------------------------------------------------------------------------


def sample() -> tuple[Image.Image, list[Annotation]]:
    """A black image with a red and a green rectangle."""
    image, found = Image.new("RGB", (80, 60)), []
    for category, (box, colour) in enumerate((((5, 8, 20, 16), (255, 0, 0)), ((45, 30, 24, 20), (0, 255, 0)))):
        image.paste(colour, (box[0], box[1], box[0] + box[2], box[1] + box[3]))
        found.append(thing(category + 1, box, category))
    return image, found


def coloured(image: Image.Image, channel: int) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of what is mostly of one colour."""
    pixels = np.asarray(image).astype(int)
    mask = pixels[..., channel] - np.delete(pixels, channel, -1).max(-1) > 60
    return Image.fromarray(mask.astype(np.uint8)).getbbox()


@pytest.mark.parametrize("name", ["light", "standard"])
def test_boxes_stay_on_their_objects(name: Any) -> None:
    image, objects = sample()
    seen = set()
    for epoch in range(25):
        changed, kept = augmented(transform_for("light"), image, objects, 0, epoch, 3)
        if name == "standard":
            geometry = transform_for("standard").transforms[1:]  # colours that are swapped cannot be told apart
            changed, kept = augmented(torch.nn.Sequential(*geometry), image, objects, 0, epoch, 3)
        seen.add(tuple(round(value) for each in kept for value in each.box))
        for each in kept:
            place = coloured(changed, each.category)
            left, top, width, height = each.box
            assert place == pytest.approx((left, top, left + width, top + height), abs=1.5)
            assert each.area == pytest.approx(width * height)
    assert len(seen) >= (2 if name == "light" else 10)


def test_what_is_random_follows_from_seed_epoch_and_row() -> None:
    image, objects = sample()

    def made(*parts: int) -> tuple[bytes, list[Annotation]]:
        changed, kept = augmented(transform_for("standard"), image, objects, *parts)
        return changed.tobytes(), kept

    before = torch.get_rng_state()
    first = made(0, 1, 2)
    torch.rand(5)
    assert made(0, 1, 2) == first
    assert len({made(*parts)[0] for parts in ((0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3))}) == 4
    torch.set_rng_state(before)
    made(0, 1, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_image_without_objects_may_vary_too() -> None:
    for name in ("light", "standard"):
        assert augmented(transform_for(name), sample()[0], [], 0, 0, 0)[1] == []  # type: ignore[arg-type]


def test_boxes_are_drawn_where_they_are() -> None:
    picture = drawn(Image.new("RGB", (200, 100)), [Shown((20, 30, 60, 40), 1, "")], edge=100)
    assert picture.size == (100, 50)
    left, top, right, bottom = picture.getbbox() or (0, 0, 0, 0)
    assert (left, top, right, bottom) == pytest.approx((10, 15, 41, 36), abs=1)
    assert picture.getpixel((10, 25)) == (60, 180, 75)  # the second colour
