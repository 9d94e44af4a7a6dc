"""Crops, heatmaps and random changes of poses, against closed forms, ViTPose's own processor and coloured pixels."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adapt_vision.annotations.objects import AnnotatedImages, Annotation, KeypointForm
from adapt_vision.pose_detection.augmentation import LIMITS, NO_CHANGE, Change, drawn_change
from adapt_vision.pose_detection.heatmaps import gaussians, heatmap_loss
from adapt_vision.pose_detection.inputs import PoseRows, Sample, sample
from adapt_vision.pose_detection.instances import Instances, instances_of

BOX = (14.0, 22.0, 40.0, 60.0)
FORM = KeypointForm(("nose", "left", "right", "tail"), ((1, 2),), ((0, 1),), (0.05,) * 4)
DOTS = ((30, 30), (22, 45), (46, 47), (33, 75))
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))


@pytest.fixture(scope="module")
def library(pose: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    from adapt_core.plan.build import build_plan

    return build_plan({**pose, "output_dir": str(tmp_path_factory.mktemp("never"))}).make_task().library


@pytest.fixture(scope="module")
def processor(library: Any) -> Any:
    return library.load_processor()


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Black, with a coloured square at each keypoint."""
    pixels = np.zeros((100, 80, 3), dtype=np.uint8)
    for (x, y), colour in zip(DOTS, COLOURS, strict=True):
        pixels[y - 3 : y + 4, x - 3 : x + 4] = colour
    return Image.fromarray(pixels)


def one_object(visible: tuple[int, ...] = (2, 2, 2, 2)) -> Instances:
    keypoints = tuple((float(x), float(y), seen) for (x, y), seen in zip(DOTS, visible, strict=True))
    objects = [[Annotation(1, 0, BOX, 2400.0, keypoints=keypoints)]]
    return instances_of(AnnotatedImages("a.json", ["a.png"], [], objects, FORM))


# ---- heatmaps -------------------------------------------------------------------------------------------------


def test_heatmaps_are_gaussians_around_exact_places() -> None:
    points = torch.tensor([[[3.25, 4.5], [0.0, 7.0]]], dtype=torch.float64)
    made = gaussians(points, (8, 6), 1.5)
    assert made.shape == (1, 2, 8, 6)
    for place, (x, y) in enumerate(points[0].tolist()):
        for row in range(8):
            for column in range(6):
                expected = math.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * 1.5**2))
                assert float(made[0, place, row, column]) == pytest.approx(expected, abs=1e-12)


def test_the_loss_is_the_mean_square_over_annotated_keypoints() -> None:
    draw = torch.Generator().manual_seed(0)
    heatmaps = torch.rand(2, 3, 32, 24, generator=draw)
    points = torch.rand(2, 3, 2, generator=draw)
    annotated = torch.tensor([[True, False, True], [True, True, False]])
    wanted = gaussians(points * torch.tensor([23.0, 31.0]), (32, 24), 1.0)  # a 32nd of the height
    total = 0.0
    for row in range(2):
        for place in range(3):
            if annotated[row, place]:
                total += float(((heatmaps[row, place] - wanted[row, place]) ** 2).sum())
    assert float(heatmap_loss(heatmaps, points, annotated)) == pytest.approx(total / (2 * 3 * 32 * 24), rel=1e-5)
    other = heatmap_loss(heatmaps, points, annotated, sigma=2.0)
    assert not math.isclose(float(other), float(heatmap_loss(heatmaps, points, annotated)), rel_tol=1e-3)


def test_what_is_not_annotated_or_lies_outside_teaches_nothing() -> None:
    heatmaps = torch.rand(1, 2, 16, 16, requires_grad=True)
    points = torch.tensor([[[0.5, 0.5], [1.4, 0.5]]])  # the second lies six pixels, so twelve sigmas, to the right
    loss = heatmap_loss(heatmaps, points, torch.tensor([[False, True]]))
    (gradient,) = torch.autograd.grad(loss, heatmaps)
    assert float(loss.detach()) == 0.0 and not gradient.any()


def test_half_precision_outputs_are_measured_in_full() -> None:
    heatmaps = torch.rand(1, 2, 16, 16)
    points, annotated = torch.rand(1, 2, 2), torch.ones(1, 2, dtype=torch.bool)
    loss = heatmap_loss(heatmaps.bfloat16(), points, annotated)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(heatmap_loss(heatmaps, points, annotated)), rel=1e-2)


@pytest.mark.parametrize("box", [BOX, (3.0, 10.0, 75.0, 30.0), (20.0, 5.0, 12.0, 90.0)])
def test_the_processor_finds_the_keypoints_in_their_own_heatmaps(
    box: tuple[float, float, float, float], library: Any, processor: Any, picture: Image.Image
) -> None:
    left, top, width, height = box
    shares = np.array([[0.1, 0.2], [0.5, 0.5], [0.9, 0.3], [0.33, 0.77]])
    places = shares * [width, height] + [left, top]
    keypoints = tuple((float(x), float(y), 2) for x, y in places)
    objects = [[Annotation(1, 0, box, width * height, keypoints=keypoints)]]
    instances = instances_of(AnnotatedImages("a.json", ["a.png"], [], objects, FORM))
    made = sample(instances, 0, picture, lambda *given: library.crop(processor, *given), NO_CHANGE)
    heatmaps = gaussians(made.points[None] * torch.tensor([23.0, 31.0]), (32, 24), 1.0)
    (found,) = library.found(processor, heatmaps, [box])
    pixel = 1.25 * max(width / 24, height / 32)  # of the heatmap, in the image
    assert np.abs(found[:, :2] - places).max() < 0.1 * pixel
    assert (found[:, 2] > 0.7).all()


def test_several_objects_of_a_single_keypoint_are_found(library: Any, processor: Any) -> None:
    heatmaps = gaussians(torch.tensor([[[12.0, 16.0]], [[6.0, 8.0]]]), (32, 24), 1.0)
    found = library.found(processor, heatmaps, [BOX, BOX])
    assert [each.shape for each in found] == [(1, 3), (1, 3)]
    assert found[0][0, 0] > found[1][0, 0]


# ---- crops ----------------------------------------------------------------------------------------------------


def test_an_unchanged_crop_is_what_the_processor_makes(library: Any, processor: Any, picture: Image.Image) -> None:
    boxes = [list(BOX), [-5.0, 60.0, 50.0, 20.0]]
    expected = processor(images=picture, boxes=[boxes], return_tensors="pt")["pixel_values"]
    crops = [library.crop(processor, picture, box, 0.0)[0] for box in boxes]
    empty = torch.zeros(4, 2), torch.zeros(4, dtype=torch.bool)
    samples = [Sample(row, pixels, *empty) for row, pixels in enumerate(crops)]
    assert torch.equal(library.batch(processor, samples)["pixel_values"], expected)
    assert expected.shape == (2, 3, 64, 48)


CHANGES = {
    "none": NO_CHANGE,
    "mirrored": Change(mirrored=True),
    "turned": Change(rotation=35.0),
    "all": Change(1.2, -30.0, (0.1, -0.1), True),
}


@pytest.mark.parametrize("name", CHANGES)
def test_keypoints_stay_on_their_pixels(name: str, library: Any, processor: Any, picture: Image.Image) -> None:
    change = CHANGES[name]
    made = sample(one_object(), 0, picture, lambda *given: library.crop(processor, *given), change)
    places = (made.points * torch.tensor([47.0, 63.0])).round().int()
    sides = [0, 2, 1, 3] if change.mirrored else [0, 1, 2, 3]  # what was left is right in a mirror
    for place, other in enumerate(sides):
        x, y = places[place].tolist()
        assert 0 <= x < 48 and 0 <= y < 64
        found, expected = made.pixels[:, y, x].int(), torch.tensor(COLOURS[other])
        assert (found - expected).abs().max() < 60, f"{FORM.names[place]} is {found.tolist()}"


def test_a_mirrored_keypoint_takes_its_annotation_along(library: Any, processor: Any, picture: Image.Image) -> None:
    crop = lambda *given: library.crop(processor, *given)  # noqa: E731
    for mirrored, expected in ((False, [True, False, True, True]), (True, [True, True, False, True])):
        made = sample(one_object((2, 0, 1, 2)), 0, picture, crop, Change(mirrored=mirrored))
        assert made.annotated.tolist() == expected


def test_what_tells_no_sides_is_not_mirrored(library: Any, processor: Any, picture: Image.Image) -> None:
    crop = lambda *given: library.crop(processor, *given)  # noqa: E731
    unknown = replace(one_object(), form=replace(FORM, names=("0", "1", "2", "3"), flip_pairs=None))
    same, mirrored = (sample(unknown, 0, picture, crop, Change(mirrored=each)) for each in (False, True))
    assert torch.equal(same.pixels, mirrored.pixels) and torch.equal(same.points, mirrored.points)
    without = replace(one_object(), form=replace(FORM, flip_pairs=()))  # it is known that there are none
    assert not torch.equal(same.pixels, sample(without, 0, picture, crop, Change(mirrored=True)).pixels)


# ---- random changes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["light", "standard"])
def test_changes_follow_from_seed_epoch_and_row_within_their_limits(name: Any) -> None:
    before = torch.get_rng_state()
    drawn = {
        (seed, epoch, row): drawn_change(name, seed, epoch, row)
        for seed in (0, 1)
        for epoch in range(5)
        for row in range(40)
    }
    assert torch.equal(torch.get_rng_state(), before)
    assert drawn[(0, 3, 7)] == drawn_change(name, 0, 3, 7)
    assert len(set(drawn.values())) == len(drawn)
    limits, changes = LIMITS[name], list(drawn.values())
    for values, limit in (
        ([each.scale - 1 for each in changes], limits.scale),
        ([each.rotation for each in changes], limits.rotation),
        ([each.shift[0] for each in changes], limits.shift),
        ([each.shift[1] for each in changes], limits.shift),
    ):
        assert np.abs(values).max() <= limit
        assert np.abs(np.mean(values)) <= 0.15 * limit
        assert max(values) >= 0.9 * limit and min(values) <= -0.9 * limit
    assert 0.4 < np.mean([each.mirrored for each in changes]) < 0.6


def test_a_box_is_moved_about_its_centre() -> None:
    assert Change(scale=2.0).moved((10, 20, 30, 40)) == (-5, 0, 60, 80)
    assert Change(shift=(0.1, -0.5)).moved((10, 20, 30, 40)) == (13, 0, 30, 40)
    assert NO_CHANGE.moved((10, 20, 30, 40)) == (10, 20, 30, 40)


def test_rows_change_with_the_epoch_and_come_again(
    library: Any, processor: Any, picture: Image.Image, tmp_path: Path
) -> None:
    rows = PoseRows(one_object(), [picture], lambda *given: library.crop(processor, *given), "standard", 5)  # type: ignore[arg-type]
    first = rows[0]
    rows.set_epoch(1)
    assert not torch.equal(rows[0].points, first.points)
    rows.set_epoch(0)
    assert torch.equal(rows[0].points, first.points) and torch.equal(rows[0].pixels, first.pixels)
