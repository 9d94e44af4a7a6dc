"""Copies of a COCO data set in every other format, written straight from its JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import yaml
from PIL import Image
from pycocotools.coco import COCO

SPLITS = ("train", "val")


def subset(source: Path, folder: Path, count: int, order: Callable[[Any], list[Any]] | None = None) -> Path:
    """The first images of each split of a COCO data set, with whole-pixel boxes, as Pascal VOC can tell them.

    ``order`` takes the content of the JSON and gives its images in another order.
    """
    for split in SPLITS:
        content = json.loads((source / "annotations" / f"{split}.json").read_text())
        content["images"] = (order(content) if order else content["images"])[:count]
        sizes = {each["id"]: (each["width"], each["height"]) for each in content["images"]}
        content["annotations"] = [each for each in content["annotations"] if each["image_id"] in sizes]
        for each in content["annotations"]:
            left, top, width, height = each["bbox"]
            right = min(round(left + width), sizes[each["image_id"]][0])
            bottom = min(round(top + height), sizes[each["image_id"]][1])
            each["bbox"] = [round(left), round(top), right - round(left), bottom - round(top)]
            if "segmentation" not in each:
                each["area"] = each["bbox"][2] * each["bbox"][3]
        (folder / "annotations").mkdir(parents=True, exist_ok=True)
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))
        for each in content["images"]:
            link(source / split / each["file_name"], folder / split / each["file_name"])
    return folder


def link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.link(source, target) if source.stat().st_dev == target.parent.stat().st_dev else target.write_bytes(
            source.read_bytes()
        )


def opened(source: Path, split: str) -> COCO:
    return COCO(str(source / "annotations" / f"{split}.json"))


def images_of(coco: COCO) -> list[tuple[Mapping[str, Any], list[dict[str, Any]]]]:
    return [(image, coco.imgToAnns[image["id"]]) for image in coco.dataset["images"]]


def classes_of(coco: COCO) -> dict[int, str]:
    return {each["id"]: each["name"] for each in sorted(coco.dataset["categories"], key=lambda each: each["id"])}


def to_yolo(source: Path, folder: Path, kind: str = "boxes", flips: Sequence[int] = (0, 2, 1, 3)) -> Path:
    description: dict[str, Any] = {"path": ".", "train": "images/train", "val": "images/val"}
    for split in SPLITS:
        coco = opened(source, split)
        ids = list(classes_of(coco))
        description["names"] = dict(enumerate(classes_of(coco).values()))
        category = coco.dataset["categories"][0]
        if kind == "keypoints":
            description["kpt_shape"] = [len(category["keypoints"]), 3]
            description["kpt_names"] = dict.fromkeys(description["names"], category["keypoints"])
            description["flip_idx"] = list(flips)
        for image, objects in images_of(coco):
            size = np.array([image["width"], image["height"]])
            lines = []
            for each in objects:
                box = np.array(each["bbox"], float)
                values = np.concatenate([(box[:2] + box[2:] / 2) / size, box[2:] / size])
                if kind == "masks":
                    values = (np.array(each["segmentation"][0]).reshape(-1, 2) / size).clip(0, 1).ravel()
                if kind == "keypoints":
                    points = np.array(each["keypoints"], float).reshape(-1, 3)
                    points[:, :2] /= size
                    values = np.concatenate([values, points.ravel()])
                lines.append(" ".join([str(ids.index(each["category_id"])), *(f"{value:.12g}" for value in values)]))
            file = folder / "labels" / split / f"{Path(image['file_name']).stem}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            if lines:  # an image without objects has no file
                file.write_text("\n".join(lines) + "\n")
            link(source / split / image["file_name"], folder / "images" / split / image["file_name"])
    (folder / "data.yaml").write_text(yaml.safe_dump(description))
    return folder


def to_voc(source: Path, folder: Path) -> Path:
    for split in SPLITS:
        coco = opened(source, split)
        names = classes_of(coco)
        listed = []
        for image, objects in images_of(coco):
            root = ElementTree.Element("annotation")
            ElementTree.SubElement(root, "filename").text = image["file_name"]
            size = ElementTree.SubElement(root, "size")
            for key in ("width", "height"):
                ElementTree.SubElement(size, key).text = str(image[key])
            for each in objects:
                one = ElementTree.SubElement(root, "object")
                ElementTree.SubElement(one, "name").text = names[each["category_id"]]
                ElementTree.SubElement(one, "difficult").text = "0"
                box = ElementTree.SubElement(one, "bndbox")
                left, top, width, height = each["bbox"]
                corners = {"xmin": left + 1, "ymin": top + 1, "xmax": left + width, "ymax": top + height}
                for key, value in corners.items():
                    ElementTree.SubElement(box, key).text = str(value)
            stem = Path(image["file_name"]).stem
            listed.append(stem)
            (folder / "Annotations").mkdir(parents=True, exist_ok=True)
            ElementTree.ElementTree(root).write(folder / "Annotations" / f"{stem}.xml")
            link(source / split / image["file_name"], folder / "JPEGImages" / image["file_name"])
        (folder / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(listed) + "\n")
    return folder


def to_objects(source: Path, folder: Path, table: str = "metadata.jsonl") -> Path:
    for split in SPLITS:
        coco = opened(source, split)
        names = classes_of(coco)
        rows = []
        for image, objects in images_of(coco):
            keys = [key for key in ("bbox", "area", "segmentation", "keypoints") if objects and key in objects[0]]
            lists = {key: [each[key] for each in objects] for key in keys}
            category = [names[each["category_id"]] for each in objects]
            rows.append({"file_name": image["file_name"], "objects": {**lists, "category": category}})
            link(source / split / image["file_name"], folder / split / image["file_name"])
        if table.endswith(".jsonl"):
            (folder / split / table).write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            _parquet(rows, list(names.values()), folder / split / table)
    return folder


def _parquet(rows: list[dict[str, Any]], names: list[str], path: Path) -> None:
    """As ``datasets`` writes it, classes as numbers with their names beside them."""
    import datasets

    for row in rows:
        row["objects"]["category"] = [names.index(name) for name in row["objects"]["category"]]
    objects = {"category": datasets.List(datasets.ClassLabel(names=names))}
    objects |= {
        "bbox": datasets.List(datasets.List(datasets.Value("float64"))),
        "area": datasets.List(datasets.Value("float64")),
    }
    rows = [{**row, "objects": {key: row["objects"].get(key, []) for key in objects}} for row in rows]
    features = datasets.Features({"file_name": datasets.Value("string"), "objects": objects})
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(path))


def to_palette(source: Path, folder: Path, *, instances: bool = True, colours: bool = False) -> Path:
    """One class; masks that overlap belong to the later object."""
    for split in SPLITS:
        coco = opened(source, split)
        listed = []
        for image, objects in images_of(coco):
            ids = np.zeros((image["height"], image["width"]), np.uint8)
            for number, each in enumerate(objects, 1):
                ids[coco.annToMask(each) > 0] = number
            stem = Path(image["file_name"]).stem
            listed.append(stem)
            for place, values in (("masks", np.minimum(ids, 1)), ("masks_instance", ids)):
                if place == "masks_instance" and not instances:
                    continue
                (folder / place).mkdir(parents=True, exist_ok=True)
                written = Image.fromarray(values, "P")
                written.putpalette([0, 0, 0, 128, 0, 0, *(n % 251 for n in range(6, 768))])
                if place == "masks" and colours:
                    written = written.convert("RGB")
                written.save(folder / place / f"{stem}.png")
            link(source / split / image["file_name"], folder / "images" / image["file_name"])
        (folder / f"{split}.txt").write_text("\n".join(listed) + "\n")
    return folder
