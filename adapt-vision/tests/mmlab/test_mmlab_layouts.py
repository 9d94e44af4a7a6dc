"""Nuclei as COCO's masks and as PNG files are the same rows, with the same losses, under MMEngine's Runner."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as encoding

import adapt_core

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

NAMES = {"train": 6, "val": 3}


def _stems(source: Path, split: str) -> list[str]:
    return (source / f"{split}.txt").read_text().split()[: NAMES[split]]


def write_png(source: Path, folder: Path, *, classes: bool = True) -> Path:
    """The first images of the data set, with its masks."""
    for split in NAMES:
        stems = _stems(source, split)
        (folder / f"{split}.txt").parent.mkdir(exist_ok=True)
        (folder / f"{split}.txt").write_text("\n".join(stems))
        for stem in stems:
            for place, ending in (("images", "jpg"), ("masks", "png"), ("masks_instance", "png")):
                (folder / place).mkdir(exist_ok=True)
                (folder / place / f"{stem}.{ending}").symlink_to(source / place / f"{stem}.{ending}")
    if classes:
        (folder / "classes.json").symlink_to(source / "classes.json")
    return folder


def write_coco(source: Path, folder: Path) -> Path:
    """The same, each instance of the PNG files as COCO's run lengths."""
    (folder / "annotations").mkdir(parents=True)
    for split in NAMES:
        images: list[dict[str, Any]] = []
        objects: list[dict[str, Any]] = []
        (folder / split).mkdir()
        for number, stem in enumerate(_stems(source, split), 1):
            ids = np.asarray(Image.open(source / "masks_instance" / f"{stem}.png"))
            (folder / split / f"{stem}.jpg").symlink_to(source / "images" / f"{stem}.jpg")
            size = {"height": ids.shape[0], "width": ids.shape[1]}
            images.append({"id": number, "file_name": f"{stem}.jpg", **size})
            for each in np.unique(ids[ids > 0]).tolist():
                coded = encoding.encode(np.asfortranarray(ids == each).astype(np.uint8))
                objects.append(
                    {
                        "id": len(objects) + 1, "image_id": number, "category_id": 1, "iscrowd": 0,
                        "bbox": encoding.toBbox(coded).tolist(), "area": float(encoding.area(coded)),
                        "segmentation": {"size": coded["size"], "counts": coded["counts"].decode()},
                    }
                )  # fmt: skip
        content = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "nucleus"}]}
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="session")
def source(test_data: Path) -> Path:
    return (test_data / "instance_segmentation" / "dsb2018_nuclei_palette").resolve()


def _trained(masks: dict[str, Any], dataset: dict[str, Any]) -> tuple[list[float], dict[str, Any], dict[str, Any]]:
    """The losses of a run's steps, its result, and what it says of its data."""
    made = {**masks, "dataset": dataset, "output_dir": f"{masks['output_dir']}-{Path(dataset['path']).name}"}
    result = adapt_core.run(made)
    folder = Path(made["output_dir"])
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [each["loss"] for each in lines if "loss" in each], result, json.loads((folder / "data.json").read_text())


def _rows(path: Path) -> Sequence[Any]:
    from adapt_vision.annotations.options import AnnotatedImageOptions
    from adapt_vision.annotations.rows import load_rows

    train, evaluation, _ = load_rows(AnnotatedImageOptions(path=str(path)), 0, evaluate=True, wanted="masks")
    assert evaluation is not None
    return [
        (Path(image).stem, {(each.mask, each.category, each.box, each.area) for each in objects})
        for part in (train, evaluation)
        for image, objects in zip(part.images, part.objects, strict=True)
    ]


@pytest.mark.usefixtures("no_reload")
def test_both_layouts_give_the_same_rows_losses_and_metrics(
    masks: dict[str, Any], source: Path, tmp_path: Path
) -> None:
    png, coco = write_png(source, tmp_path / "png"), write_coco(source, tmp_path / "coco")
    assert _rows(png) == _rows(coco)
    one, other = (_trained(masks, {"path": str(each)}) for each in (png, coco))
    assert one[0] == other[0] and len(one[0]) == masks["training"]["max_steps"]
    assert one[1]["metrics"] == other[1]["metrics"]
    assert (one[2]["format"], other[2]["format"]) == ("palette", "coco")


@pytest.mark.usefixtures("no_reload")
def test_class_list_and_palette_say_what_the_colours_mean(masks: dict[str, Any], source: Path, tmp_path: Path) -> None:
    """Masks in two colours, whose classes only the configuration names, train as two classes; the order decides."""
    folder = write_png(source, tmp_path / "colours", classes=False)
    for file in sorted((folder / "masks").iterdir()):
        mask = np.asarray(Image.open(file)) > 0
        ids = np.asarray(Image.open(folder / "masks_instance" / file.name))
        pixels = np.zeros((*mask.shape, 3), np.uint8)
        pixels[mask] = (0, 0, 255)
        pixels[mask & (ids % 3 == 0)] = (255, 0, 0)
        file.unlink()
        Image.fromarray(pixels).save(file)
    blue, red = [0, 0, 255], [255, 0, 0]
    found = {}
    for name, colours in (("first", [blue, red]), ("second", [red, blue])):
        dataset = {"path": str(folder), "class_list": ["background", "many", "few"]}
        made = {**masks, "output_dir": str(tmp_path / name), "dataset": {**dataset, "palette": [[0, 0, 0], *colours]}}
        adapt_core.run(made)
        told = json.loads((tmp_path / name / "data.json").read_text())
        assert told["label_names"] == ["many", "few"]
        found[name] = told["labels"]
    assert found["first"]["many"] > found["first"]["few"] > 0
    assert found["second"] == {"many": found["first"]["few"], "few": found["first"]["many"]}
