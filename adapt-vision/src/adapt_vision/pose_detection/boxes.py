"""The boxes whose keypoints are predicted: of annotations, of a detector's predictions, or whole images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt_core.bundles import Row
from adapt_core.errors import AdaptError
from adapt_vision.annotations.coco import read_coco
from adapt_vision.annotations.files import paths_of
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.reading import why_not_four_numbers
from adapt_vision.data.files import images_at

FORMS = "Give COCO's JSON, or what adapt predict wrote of a detector: a list of objects with image and objects."


def rows_at(inputs: Sequence[str], file: Path | None, options: AnnotatedImageOptions) -> list[Row]:
    """Images with ``boxes`` as left, top, width and height in pixels; without any, the whole image is the box.

    Args:
        inputs: image files, and folders of them.
        file: a file of boxes, or one more image or folder.
        options: the ``dataset`` section, for the folder of COCO's images.

    Raises:
        UsageError: nothing is named, or a path leads nowhere.
        AdaptError: the file of boxes is malformed.
    """
    if file is None or file.suffix not in (".json", ".jsonl"):
        return [{"image": path} for path in images_at([*inputs, *([str(file)] if file is not None else [])])]
    found = _content(file)
    return _of_coco(file, options) if isinstance(found, dict) else _of_predictions(file, found)


def _content(file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise AdaptError(f"{file} cannot be read: {error}", FORMS) from error


def _of_coco(file: Path, options: AnnotatedImageOptions) -> list[Row]:
    split = read_coco(file, options)
    paths = paths_of(file, split.files, options)
    rows: list[Row] = []
    for number, path, objects in zip(split.ids, paths, split.objects, strict=True):
        kept = [each for each in objects if not each.crowd]
        boxes = {"boxes": [list(each.box) for each in kept], "category_ids": [each.category for each in kept]}
        rows.append({"image": path, "image_id": number, **boxes})
    return rows


def _of_predictions(file: Path, found: Any) -> list[Row]:
    if not isinstance(found, list):
        raise AdaptError(f"{file} holds a {type(found).__name__}.", FORMS)
    if not found:
        raise AdaptError(f"{file} holds no images.", FORMS)
    rows: list[Row] = []
    for place, each in enumerate(found):
        objects = each.get("objects") if isinstance(each, dict) else None
        if not isinstance(objects, list) or not isinstance(each.get("image"), str):
            raise AdaptError(f"{file}: entry {place} has no image, or no list of objects.", FORMS)
        for one in objects:
            if fault := _why_not_a_box(one):
                raise AdaptError(f"{file}: entry {place}, {each['image']}: {fault}.", FORMS)
        boxes = {"boxes": [one["bbox"] for one in objects]}
        if all("category_id" in one for one in objects):
            boxes["category_ids"] = [one["category_id"] for one in objects]
        known = {"image_id": each["image_id"]} if "image_id" in each else {}
        rows.append({"image": each["image"], **known, **boxes})
    return rows


def _why_not_a_box(one: Any) -> str | None:
    """What a detector predicts may reach out of its image."""
    box: Any = one.get("bbox") if isinstance(one, Mapping) else None
    if fault := why_not_four_numbers(box):
        return fault
    return None if box[2] > 0 and box[3] > 0 else f"bbox {box} is empty"


def boxes_of(row: Row, size: tuple[int, int]) -> list[list[float]]:
    """The boxes of a row in an image of this width and height."""
    boxes = row.get("boxes")
    return [[0.0, 0.0, float(size[0]), float(size[1])]] if boxes is None else [list(map(float, each)) for each in boxes]
