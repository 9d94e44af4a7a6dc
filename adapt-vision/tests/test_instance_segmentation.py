"""Instance segmentation from COCO's JSON to a used model, with tiny models built on the spot."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from annotated_contract import METHODS, AnnotatedContract, planned, runner
from PIL import Image
from transformers import Mask2FormerImageProcessor

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_vision.annotations.drawing import Shown, drawn
from adapt_vision.annotations.masks import area_of, box_of, decoded, encoded
from adapt_vision.annotations.measuring import MaskMeter
from adapt_vision.annotations.objects import AnnotatedImages, Annotation
from adapt_vision.data.integrity import ImageFile


class TestSegmentationContract(AnnotatedContract):
    section, models, steps = "segmentation", "segmenters", 30
    cases = tuple(product(("mask2former", "maskformer", "rf_detr"), METHODS))

    @staticmethod
    def not_merged(model: str, method: str) -> bool:
        """Convolutions and the merging of Swin's patches have no bias, and their class no switch for one."""
        return method == "ssf"


@pytest.fixture
def segment(segmentation: dict[str, Any], tmp_path: Path, no_reload: None) -> Callable[..., dict[str, Any]]:
    """Runs two steps of a changed configuration, without the process that loads what was saved."""
    return runner(segmentation, tmp_path)


# ---- what the model reads and finds ---------------------------------------------------------------------------


def shapes(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> list[Annotation]:
    """Rectangles with their masks in an image of this width and height, of classes 0 and 1 in turn."""
    found = []
    for number, (left, top, width, height) in enumerate(boxes):
        pixels = np.zeros(size[::-1], bool)
        pixels[top : top + height, left : left + width] = True
        box = (float(left), float(top), float(width), float(height))
        found.append(Annotation(number + 1, number % 2, box, float(width * height), mask=encoded(pixels)))
    return found


IMAGES = [Image.new("RGB", (90, 60), "navy"), Image.new("RGB", (60, 60), "olive")]
APART = [shapes((90, 60), (5, 5, 20, 30), (40, 20, 31, 17)), shapes((60, 60), (0, 0, 25, 60))]
LAPPING = [shapes((90, 60), (5, 5, 40, 30), (20, 20, 31, 17)), []]


@pytest.mark.parametrize("model", ["mask2former", "maskformer"])
def test_the_targets_and_the_loss_are_those_of_the_processor_s_maps(
    model: str, segmentation: dict[str, Any], segmenters: dict[str, Any], tmp_path: Path
) -> None:
    from transformers import AutoImageProcessor

    task = planned(segmentation, tmp_path, model=segmenters[model])
    loaded = task.load_model({"label_names": ["a", "b"]})
    batch = task.library.batch(loaded.processor, IMAGES, APART)
    maps = []
    for image, objects in zip(IMAGES, APART, strict=True):
        numbered = np.zeros((image.height, image.width), np.int32)
        for each in objects:
            numbered[decoded(str(each.mask), image.size)] = each.id
        maps.append(numbered)
    expected = AutoImageProcessor.from_pretrained(segmenters[model]["path"])(
        images=IMAGES,
        segmentation_maps=maps,
        instance_id_to_semantic_id=[{each.id: each.category for each in objects} for objects in APART],
        ignore_index=0,
        return_tensors="pt",
    )
    assert torch.equal(batch["pixel_values"], expected["pixel_values"])
    for name in ("mask_labels", "class_labels"):
        assert all(torch.equal(*pair) for pair in zip(batch[name], expected[name], strict=True))
    torch.manual_seed(0)
    ours = task.library.call(loaded.module.eval(), batch, labels=True).loss
    torch.manual_seed(0)
    assert float(ours) == float(loaded.module(**expected).loss)
    assert task.library.items(batch) == 3


def test_masks_that_overlap_stay_whole_and_crowds_are_left_out(
    segmentation: dict[str, Any], segmenters: dict[str, Any], tmp_path: Path
) -> None:
    image, objects = IMAGES[1], shapes((60, 60), (5, 5, 40, 30), (20, 20, 31, 17))
    for name in segmenters:
        task = planned(segmentation, tmp_path, model=segmenters[name])
        processor = task.load_processor({})
        batch = task.library.batch(processor, [image, image], [objects, []])
        masks = batch["labels"][0]["masks"] if name == "rf_detr" else batch["mask_labels"][0]
        assert masks.shape == (2, 64, 64)
        assert [float(each.sum()) * 60**2 / 64**2 for each in masks] == pytest.approx([40 * 30, 31 * 17], rel=0.1)
        assert task.library.items(batch) == 2
        crowd = replace(objects[1], crowd=True)
        assert task.library.items(task.library.batch(processor, [image], [[objects[0], crowd]])) == 1


@pytest.mark.parametrize("model", ["mask2former", "maskformer", "rf_detr"])
def test_images_without_objects_are_learned_from(
    model: str, segmentation: dict[str, Any], segmenters: dict[str, Any], tmp_path: Path
) -> None:
    task = planned(segmentation, tmp_path, model=segmenters[model])
    loaded = task.load_model({"label_names": ["a", "b"]})
    for objects in ([[], []], LAPPING):
        loss = task.library.call(
            loaded.module.train(), task.library.batch(loaded.processor, IMAGES, objects), labels=True
        )
        assert loss.loss.ndim == 0 and torch.isfinite(loss.loss)
        loss.loss.backward()


@pytest.mark.parametrize("model", ["mask2former", "rf_detr"])
def test_padding_does_not_move_what_is_found(
    model: str, segmentation: dict[str, Any], segmenters: dict[str, Any], tmp_path: Path
) -> None:
    """The second image is narrower than the first, and padded; its masks are those that the model gave for it."""
    task = planned(segmentation, tmp_path, model=segmenters[model])
    processor = Mask2FormerImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    batch = task.library.batch(processor, IMAGES, APART) if model == "mask2former" else None
    if batch is None:
        processor = task.load_processor({})
        batch = {"sizes": torch.tensor([(60, 90), (60, 60)]), "pixel_mask": torch.ones((2, 64, 96))}
        batch["pixel_mask"][1, :, 64:] = 0
    height, width = batch["pixel_mask"].shape[-2:]
    masks = torch.full((2, 1, height // 4, width // 4), -9.0)
    masks[:, :, 4:8, 8:14] = 9.0  # rows 16 to 32 and columns 32 to 56 of what the model reads
    if model == "mask2former":
        logits = torch.tensor([[[9.0, -9.0, -9.0]]]).expand(2, -1, -1)
        outputs = SimpleNamespace(class_queries_logits=logits, masks_queries_logits=masks)
    else:
        outputs = SimpleNamespace(logits=torch.tensor([[[9.0, -9.0]]]).expand(2, -1, -1), pred_masks=masks)
    for found, image in zip(task.library.found(processor, outputs, batch, 0.5), IMAGES, strict=True):
        (mask,) = found["masks"]
        shrunk = 60 / 64
        expected = [32 * shrunk, 16 * shrunk, 24 * shrunk, 16 * shrunk]
        assert box_of(mask, image.size) == pytest.approx(expected, abs=2)
        assert found["labels"].tolist() == [0] and float(found["scores"][0]) > 0.9


def test_an_evaluation_draws_nothing_from_training_s_random_numbers(
    segmentation: dict[str, Any], tmp_path: Path
) -> None:
    task = planned(segmentation, tmp_path)
    data = task.load_data()
    model = task.load_model(data.info)
    inputs = task.engine_inputs(data, model)
    batch = inputs.collate([inputs.evaluation[row] for row in range(4)])
    before = torch.get_rng_state()
    losses = [float(inputs.evaluation_step(model.module.eval(), batch)["loss"]) for _ in range(2)]
    assert losses[0] == losses[1]
    assert torch.equal(torch.get_rng_state(), before)


def test_average_precision_is_that_of_masks() -> None:
    """An L of 300 pixels and the square of 400 around it have one box; their masks have an IoU of 3 / 4."""
    square = np.zeros((100, 100), bool)
    square[10:30, 10:30] = True
    ell = square.copy()
    ell[10:20, 20:30] = False
    truth = Annotation(1, 0, (10, 10, 20, 20), 300, mask=encoded(ell))
    rows = AnnotatedImages("x", ["x"], [ImageFile((100, 100), "")], [[truth]])
    meter = MaskMeter(rows, ["a"])
    found = {"masks": [encoded(square)], "scores": torch.tensor([0.9]), "labels": torch.tensor([0])}
    meter.update({"rows": torch.tensor([0])}, {"found": [found]})
    metrics = meter.result(World()).metrics
    assert metrics["ap"] == metrics["ap_small"] == pytest.approx(0.6)  # at 0.50, 0.55, … 0.75: 6 of 10 thresholds
    assert metrics["ap50"] == metrics["ap75"] == pytest.approx(1)
    crowded = AnnotatedImages("x", ["x"], rows.found, [[replace(truth, crowd=True), replace(truth, id=2)]])
    meter = MaskMeter(crowded, ["a"])
    meter.update({"rows": torch.tensor([0])}, {"found": [found]})
    assert meter.result(World()).metrics["ap50"] == pytest.approx(1)


def test_the_meter_keeps_no_pixels() -> None:
    images = 20
    rows = AnnotatedImages("x", ["x"] * images, [ImageFile((1000, 1000), "")] * images, [[]] * images)
    meter = MaskMeter(rows, ["a"])
    shape = encoded(np.arange(1_000_000).reshape(1000, 1000) % 1000 < 500)
    found = {"masks": [shape] * 150, "scores": torch.rand(150), "labels": torch.zeros(150, dtype=torch.int64)}
    for row in range(images):
        meter.update({"rows": torch.tensor([row])}, {"found": [found]})
    assert len(pickle.dumps([meter.found[3], list(map(len, meter.masks[3]))])) < 10_000
    assert sum(len(each) for each in meter.masks[3]) < 1_000 * 1_000 and len(meter.masks[3]) == 100


# ---- parameters -----------------------------------------------------------------------------------------------


def test_other_families_and_processors_are_refused(
    segmentation: dict[str, Any], detectors: dict[str, Any], segmenters: dict[str, Any], tmp_path: Path
) -> None:
    task = planned(segmentation, tmp_path, model=detectors["yolos"])
    with pytest.raises(AdaptError, match="makes no masks"):
        task.load_processor({})
    task = planned(
        segmentation, tmp_path, model={**detectors["yolos"], "image_processor": segmenters["rf_detr"]["path"]}
    )
    with pytest.raises(
        AdaptError, match=r"of the family yolos, and instances are segmented by mask2former, maskformer"
    ):
        task.load_model({"label_names": ["a"]})


def test_more_objects_than_the_model_can_find_are_told(
    segmentation: dict[str, Any], segmenters: dict[str, Any], detectors: dict[str, Any], tmp_path: Path
) -> None:
    bounds = dict.fromkeys(segmenters, 10) | {"rt_detr": 20, "yolos": 10}
    for name, bound in bounds.items():
        task = planned(segmentation, tmp_path, model={**segmenters, **detectors}[name])
        assert task.library.queries() == bound
    task = planned(segmentation, tmp_path)
    assert task.load_data().info["most_objects"] == 3
    for most, told in ((10, 0), (11, 1)):
        notices = task.load_model({"label_names": ["a", "b"], "most_objects": most}).notices
        assert sum(f"has {most} objects, and the model finds at most 10" in each for each in notices) == told


def test_a_model_may_start_from_random_weights(
    segmentation: dict[str, Any], segmenters: dict[str, Any], tmp_path: Path
) -> None:
    for name in segmenters:
        task = planned(segmentation, tmp_path, model={**segmenters[name], "pretrained": False})
        model = task.load_model({"label_names": ["a", "b"]})
        assert any("starts from random weights" in each for each in model.notices)
        assert "class_predictor" in model.hints.fresh or "model.class_embed" in model.hints.fresh


def test_the_image_size_is_that_of_the_model_s_input(
    segmentation: dict[str, Any], segmenters: dict[str, Any], tmp_path: Path
) -> None:
    for name, size, shape in (
        ("rf_detr", 96, (96, 96)),
        ("mask2former", None, (64, 96)),
        ("mask2former", 32, (32, 64)),
    ):
        task = planned(segmentation, tmp_path, task={"image_size": size}, model=segmenters[name])
        batch = task.library.batch(task.load_processor({}), IMAGES[:1], APART[:1])
        assert tuple(batch["pixel_values"].shape[-2:]) == shape


def test_a_threshold_leaves_objects_out(segment: Any, objects: Path, tmp_path: Path) -> None:
    segment()
    run = adapt_core.load_run(tmp_path / "run")
    path = str(objects / "val" / "val0.png")
    (everything,) = run.predict([path], threshold=0.0)
    scores = [each["score"] for each in everything["objects"]]
    assert scores == sorted(scores, reverse=True) and len(scores) > 1
    for each in everything["objects"]:
        pixels = decoded(each["segmentation"]["counts"], tuple(each["segmentation"]["size"][::-1]))
        left, top, width, height = map(int, each["bbox"])
        assert pixels.shape == Image.open(path).size[::-1]
        assert pixels.sum() == pixels[top : top + height, left : left + width].sum() > 0
    middle = (scores[0] + scores[1]) / 2
    assert [each["score"] for each in run.predict([path], threshold=middle)[0]["objects"]] == scores[:1]


# ---- use ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "method"), [("mask2former", "full"), ("maskformer", "full"), ("rf_detr", "lora")])
def test_the_readme_s_code_predicts_the_same_without_adapt(
    method: str, model: str, segment: Any, segmenters: dict[str, Any], objects: Path, tmp_path: Path
) -> None:
    segment(model=segmenters[model], method=METHODS[method])
    paths = [str(objects / "val" / f"val{number}.png") for number in range(2)]
    expected = adapt_core.load_run(tmp_path / "run").predict(paths, threshold=0.0)
    folder = tmp_path / "run" / "model"
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), flags=re.DOTALL)
    assert "adapt" not in code.replace("adapter", "")
    code = code.replace("threshold=0.5", "threshold=0.0")
    done = subprocess.run([sys.executable, "-c", code, *paths], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = sorted(line.split() for line in done.stdout.splitlines())
    ours = sorted(
        [
            each["image"],
            one["label"],
            str(one["score"]),
            str(area_of(one["segmentation"]["counts"], Image.open(each["image"]).size)),
        ]
        for each in expected
        for one in each["objects"]
    )
    assert len(lines) == len(ours) > 0
    for one, other in zip(lines, ours, strict=True):
        assert one[:2] == other[:2]
        assert float(one[2]) == pytest.approx(float(other[2]), abs=1e-4)
        assert int(one[3]) == pytest.approx(int(other[3]), abs=3)


def test_adapt_predict_eval_and_data_work_on_the_command_line(
    segment: Any,
    segmentation: dict[str, Any],
    adapt: Any,
    objects: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    segment()
    page = (tmp_path / "run" / "report.html").read_text()
    for part in ("Average precision by class", "Annotated (left) and found (right)", "data:image/jpeg", "red"):
        assert part in page
    capsys.readouterr()
    run = str(tmp_path / "run")
    found = adapt("predict", run, "--data", str(objects / "val"), "-O", "threshold=0")
    assert [set(each) for each in found] == [{"image", "objects"}] * 4
    assert adapt("eval", run, "--data", str(objects), "--split", "train")["rows"] == 8
    made = {**segmentation, "output_dir": str(tmp_path / "never")}
    (tmp_path / "config.json").write_text(json.dumps(made))
    assert adapt("data", str(tmp_path / "config.json"), "--html", str(tmp_path / "data.html"))
    assert "data:image/jpeg" in (tmp_path / "data.html").read_text()


def test_masks_are_drawn_where_they_are() -> None:
    (shape,) = shapes((200, 100), (20, 30, 60, 40))
    picture = drawn(Image.new("RGB", (200, 100)), [Shown(shape.box, 1, "", shape.mask)], edge=100)
    assert picture.size == (100, 50)
    assert picture.getbbox() == (10, 15, 40, 35)
    assert len({picture.getpixel((x, y)) for x in range(10, 40) for y in range(15, 35)}) == 1
