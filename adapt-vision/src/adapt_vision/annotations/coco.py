"""Reads annotations in COCO's JSON (Lin et al. 2014, arXiv:1405.0312), and names all that is wrong with them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.units import listed
from adapt_vision.annotations.keypoints import keypoint_form
from adapt_vision.annotations.masks import OVERHANG, Size, area_of, mask_of, why_not_a_mask
from adapt_vision.annotations.objects import Annotation, KeypointForm, Split, Wanted
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.reading import (
    is_number,
    is_whole,
    require,
    require_class_list,
    why_not_a_box,
    why_not_four_numbers,
    within,
)


def read_coco(path: Path, options: AnnotatedImageOptions, wanted: Wanted = "boxes") -> Split:
    """Reads one file.

    Boxes that reach less than a pixel beyond their image are cut at its edge.

    Args:
        path: of the file.
        options: may name the keypoints and say more of them, and list the classes.
        wanted: what is read of objects, beside their boxes. Masks and keypoints that nobody wants are not checked.

    Raises:
        UsageError: there is no such file.
        AdaptError: it cannot be read, or annotations are malformed; all of them are named, up to twenty.
    """
    content = _content(path)
    categories = _categories(path, content["categories"])
    require_class_list(path, list(categories.values()), options)
    form = _keypoint_form(path, content["categories"], options) if wanted == "keypoints" else None
    return split_of(path, content["images"], content["annotations"], categories, wanted, form)


def read_images(path: Path) -> list[tuple[int, str]]:
    """The id and the file name of each of a file's images, whatever else there is in it.

    Raises:
        UsageError: there is no such file.
        AdaptError: it cannot be read, or images are malformed; all of them are named, up to twenty.
    """
    images = _content(path, ("images",))["images"]
    require(path, list(_image_faults(images, sized=False)))
    return [(each["id"], each["file_name"]) for each in images]


def split_of(
    path: Path,
    images: list[dict[str, Any]],
    annotations: list[dict[str, Any]],
    categories: Mapping[int, str],
    wanted: Wanted,
    form: KeypointForm | None,
    places: Mapping[int, str] | None = None,
    folder: str | None = None,
) -> Split:
    """The split of images and annotations as COCO has them.

    Args:
        path: their file.
        images: with ``id``, ``file_name``, ``width`` and ``height``.
        annotations: of objects.
        categories: from the id to the name.
        wanted: what is read of objects, beside their boxes.
        form: of their keypoints.
        places: where each annotation stands, by its id, for messages; by default it is called by the id.
        folder: that the images' names start from, where it is known.

    Raises:
        AdaptError: annotations are malformed; all of them are named, up to twenty.
    """
    require(path, list(_image_faults(images, sized=wanted == "masks")))
    by_id = {each["id"]: each for each in images}
    require(path, list(_object_faults(annotations, by_id, categories, wanted, form, places or {})))
    objects: dict[int, list[Annotation]] = {number: [] for number in by_id}
    for each in annotations:
        objects[each["image_id"]].append(_annotation(each, by_id[each["image_id"]], wanted, form))
    require(path, list(_mask_faults(objects, by_id, places or {})))
    return Split(
        str(path),
        [each["file_name"] for each in images],
        list(by_id),
        [_size(each) for each in images],
        categories,
        list(objects.values()),
        form,
        folder,
    )


def _content(path: Path, lists: Sequence[str] = ("images", "annotations", "categories")) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", "Check the path; it is taken from dataset.path.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AdaptError(f"{path} cannot be read: {error}", "Check that it is whole, and JSON in UTF-8.") from error
    if not isinstance(content, dict):
        raise AdaptError(f"{path} holds a {type(content).__name__}, and no object.", FORM)
    for key in lists:
        if key not in content:
            raise AdaptError(f"{path} has no {key!r}.", FORM)
        if not isinstance(content[key], list):
            raise AdaptError(f"{path}: {key!r} is no list.", FORM)
        if wrong := [place for place, each in enumerate(content[key]) if not isinstance(each, dict)]:
            raise AdaptError(f"{path}: entry {wrong[0]} of {key!r} is no object.", FORM)
    if not content["images"]:
        raise AdaptError(f"{path} has no images.", "Check that it was written completely.")
    if "annotations" in lists and not content["annotations"]:
        raise AdaptError(f"{path} has no annotations: there is nothing to learn or to measure.", FORM)
    return content


FORM = "COCO's JSON is an object with the lists images, annotations and categories."


def _size(image: Mapping[str, Any]) -> Size | None:
    return (image["width"], image["height"]) if "width" in image else None


def _image_faults(images: list[dict[str, Any]], sized: bool) -> Iterator[str]:
    for place, each in enumerate(images):
        if not is_whole(each.get("id")):
            yield f"image at place {place}: id is {each.get('id')!r}, and no whole number"
        elif not isinstance(each.get("file_name"), str) or not each["file_name"].strip():
            yield f"image {each['id']}: file_name is {each.get('file_name')!r}, and no name"
        elif ("width" in each) != ("height" in each) or not all(
            is_whole(each.get(edge, 1)) and each.get(edge, 1) > 0 for edge in ("width", "height")
        ):
            yield (
                f"image {each['id']} ({each['file_name']}): width is {each.get('width')!r} and height "
                f"{each.get('height')!r}, and no numbers of pixels"
            )
        elif sized and "width" not in each:
            yield f"image {each['id']} ({each['file_name']}): width and height are missing, which masks need"
    for what in ("id", "file_name"):
        counts = Counter(each[what] for each in images if isinstance(each.get(what), str | int))
        yield from (f"{count} images have the {what} {value}" for value, count in counts.items() if count > 1)


def _categories(path: Path, categories: list[dict[str, Any]]) -> dict[int, str]:
    faults = [
        f"category at place {place}: {key} is {each.get(key)!r}"
        for place, each in enumerate(categories)
        for key, good in (
            ("id", is_whole(each.get("id"))),
            ("name", isinstance(each.get("name"), str) and each["name"]),
        )
        if not good
    ]
    require(path, faults)
    if not categories:
        raise AdaptError(f"{path} has no categories.", FORM)
    for key in ("id", "name"):
        counts = Counter(each[key] for each in categories)
        require(path, [f"{n} categories have the {key} {value}" for value, n in counts.items() if n > 1])
    return {each["id"]: each["name"] for each in sorted(categories, key=lambda each: int(each["id"]))}


def _keypoint_form(path: Path, categories: list[dict[str, Any]], options: AnnotatedImageOptions) -> KeypointForm:
    """What the categories say of keypoints, all of them the same."""
    for each in categories:
        names = each.get("keypoints")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
            raise AdaptError(
                f"{path}: category {each['id']} ({each['name']}): keypoints is {names!r}, and no list of names.",
                "Poses are learned from COCO keypoints: name them in each category, in the order of the annotations.",
            )
        for key in ("keypoints", "skeleton"):
            if each.get(key) != categories[0].get(key):
                raise AdaptError(
                    f"{path}: category {each['id']} ({each['name']}) has another {key} than category "
                    f"{categories[0]['id']} ({categories[0]['name']}).",
                    "One model learns one set of keypoints: keep the categories that share it.",
                )
    first = categories[0]
    return keypoint_form(
        str(path), options, first["keypoints"], first.get("skeleton"), first.get("flip_pairs"), first.get("sigmas")
    )


def _object_faults(
    objects: list[dict[str, Any]],
    images: Mapping[int, Any],
    categories: Mapping[int, str],
    wanted: Wanted,
    form: KeypointForm | None,
    places: Mapping[int, str],
) -> Iterator[str]:
    for place, each in enumerate(objects):
        if not is_whole(each.get("id")):
            yield f"annotation at place {place}: id is {each.get('id')!r}, and no whole number"
            continue
        fault = _why_not_an_object(each, images, categories)
        if fault is None and wanted == "masks":
            image = images[each["image_id"]]
            fault = why_not_a_mask(each.get("segmentation"), (image["width"], image["height"]))
        if fault is None and form is not None:
            fault = _why_not_keypoints(each, images[each["image_id"]], len(form.names))
        if fault:
            yield f"{_place(each['id'], places)}: {fault}"
    counts = Counter(each["id"] for each in objects if is_whole(each.get("id")))
    yield from (f"{count} annotations have the id {number}" for number, count in counts.items() if count > 1)


def _place(number: int, places: Mapping[int, str]) -> str:
    return places.get(number, f"annotation {number}")


def _why_not_an_object(each: Mapping[str, Any], images: Mapping[int, Any], categories: Mapping[int, str]) -> str | None:
    image_id: Any = each.get("image_id")
    category: Any = each.get("category_id")
    if not is_whole(image_id) or image_id not in images:
        return f"image_id is {image_id!r}, and there is no such image"
    if not is_whole(category) or category not in categories:
        known = listed([f"{number} ({name})" for number, name in categories.items()])
        return f"category_id is {category!r}; the categories are {known}"
    if each.get("iscrowd", 0) not in (0, 1):
        return f"iscrowd is {each['iscrowd']!r}, and neither 0 nor 1"
    if "area" in each and (not is_number(each["area"]) or each["area"] < 0):
        return f"area is {each['area']!r}, and no number of pixels"
    box: Any = each.get("bbox")
    return why_not_four_numbers(box) or why_not_a_box(box, _size(images[image_id]), images[image_id]["file_name"])


def _why_not_keypoints(each: Mapping[str, Any], image: Mapping[str, Any], count: int) -> str | None:
    values = each.get("keypoints")
    if values is None and each.get("iscrowd"):
        return None
    if not isinstance(values, list) or not all(map(is_number, values)):
        return f"keypoints is {values!r}, and no list of x, y and visibility of each"
    if len(values) != 3 * count:
        return f"keypoints has {len(values)} numbers, and not three for each of {count} keypoints"
    width, height = image.get("width", math.inf), image.get("height", math.inf)
    for place, (x, y, visible) in enumerate(zip(values[::3], values[1::3], values[2::3], strict=True)):
        if visible not in (0, 1, 2):
            return f"the visibility of keypoint {place} is {visible!r}, and not 0, 1 or 2"
        if visible and not (-OVERHANG <= x <= width + OVERHANG and -OVERHANG <= y <= height + OVERHANG):
            return f"keypoint {place}, at ({x:g}, {y:g}), is out of its image, {image['file_name']}"
    stated = each.get("num_keypoints", annotated := sum(value > 0 for value in values[2::3]))
    if stated != annotated:
        return f"num_keypoints is {stated!r}, and {annotated} of its keypoints are annotated"
    return None


def _mask_faults(
    objects: Mapping[int, list[Annotation]], images: Mapping[int, Any], places: Mapping[int, str]
) -> Iterator[str]:
    for number, found in objects.items():
        size = (images[number].get("width", 0), images[number].get("height", 0))
        yield from (
            f"{_place(each.id, places)}: its mask has no pixels"
            for each in found
            if each.mask is not None and not area_of(each.mask, size)
        )


def _annotation(
    each: Mapping[str, Any], image: Mapping[str, Any], wanted: Wanted, form: KeypointForm | None
) -> Annotation:
    box = within(each["bbox"], _size(image))
    area = float(each.get("area", box[2] * box[3]))
    mask: str | None = None
    points: list[float] = []
    if wanted == "masks":
        size = (image["width"], image["height"])
        mask = mask_of(each["segmentation"], size)
        area = float(each.get("area", area_of(mask, size)))
    if form is not None:
        points = each.get("keypoints") or [0.0] * 3 * len(form.names)
    return Annotation(
        each["id"],
        each["category_id"],
        box,
        area,
        bool(each.get("iscrowd", 0)),
        mask,
        tuple((float(x), float(y), int(v)) for x, y, v in zip(points[::3], points[1::3], points[2::3], strict=True)),
    )
