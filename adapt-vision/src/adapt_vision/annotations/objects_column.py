"""Reads image folders whose table has ``objects``, as ``datasets`` and the examples of transformers write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.units import listed
from adapt_vision.annotations.coco import split_of
from adapt_vision.annotations.keypoints import keypoint_form
from adapt_vision.annotations.objects import KeypointForm, Split
from adapt_vision.annotations.reading import (
    Format,
    Named,
    Reading,
    is_whole,
    lines_of,
    named_file,
    require,
    size_of,
)
from adapt_vision.data.parquet import (
    are_of_one_writing,
    files_by_split,
    holds_bytes,
    image_columns,
    schema_of,
    shards_of,
    written,
)
from adapt_vision.data.source import USUAL_NAMES

TABLES = ("metadata.jsonl", "metadata.parquet")
SUFFIXES = (".jsonl", ".parquet")
CATEGORIES = ("category", "categories", "category_id", "label", "labels")
"""What the classes of the objects are called; the first that is there is taken."""
BOXES = ("bbox", "bboxes", "boxes")
OTHERS = ("area", "iscrowd", "segmentation", "keypoints", "num_keypoints")


def find(folder: Path, named: Named) -> dict[str, Path]:
    """The table of each split. Raises AdaptError where there are two."""
    files = {role: named_file(folder, name, role) for role, name in named.items() if name}
    for role, names in USUAL_NAMES.items():
        found = [folder / name / table for name in names for table in TABLES if (folder / name / table).is_file()]
        if role == "train" and not found:
            found = [folder / table for table in TABLES if (folder / table).is_file()]
        if len(found) > 1 and role not in files:
            raise AdaptError(
                f"{folder} holds {listed([str(each) for each in found])} for a split.", "Keep one of them."
            )
        if found:
            files.setdefault(role, found[0])
    if files or not folder.is_dir():
        return files
    # Files of other splits, or without objects, may lie beside annotations in another format. What is missing is told
    # when they are read.
    shards = files_by_split(folder)
    for role, names in USUAL_NAMES.items():
        usual = [own for split, own in shards.items() if split.lower() in names and _has_objects(own[0])]
        if not usual:
            continue
        if not are_of_one_writing(usual[0]):
            raise AdaptError(
                f"{folder} holds {listed([each.name for each in usual[0]])} for a split.", "Keep those of one writing."
            )
        files[role] = usual[0][0]
    return files


def _has_objects(file: Path) -> bool:
    schema = schema_of(file)
    return schema is not None and "objects" in schema.names


def read(file: Path, reading: Reading) -> Split:
    """Reads the table of one split.

    Boxes are left, top, width and height in pixels. Classes are names, or numbers that the table or
    ``dataset.class_list`` gives names.

    Raises:
        AdaptError: annotations are malformed; all that is wrong is named by line, up to twenty.
    """
    rows, declared, folder = _rows(file)
    if folder is not None and reading.options.image_root:
        raise UsageError(
            f"{file} holds the images itself, and dataset.image_root names a folder of images.", "Remove image_root."
        )
    root = folder or Path(reading.options.image_root or file.parent)
    images: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    where: dict[int, str] = {}
    faults: list[str] = []
    for number, (place, row) in enumerate(rows, 1):
        name = row.get("file_name")
        if not isinstance(name, str) or not name.strip():
            faults.append(f"{place}: file_name is {name!r}, and no name")
            continue
        image = {"id": number, "file_name": name}
        if is_whole(row.get("width")) and is_whole(row.get("height")):
            image |= {"width": row["width"], "height": row["height"]}
        elif size := size_of(root / name):
            image |= {"width": size[0], "height": size[1]}
        images.append(image)
        found = _objects(row.get("objects"))
        if isinstance(found, str):
            faults.append(f"{place}: {found}")
            continue
        for order, each in enumerate(found, 1):
            objects.append({**each, "id": len(objects) + 1, "image_id": number})
            where[len(objects)] = f"{place}, object {order}"
    require(file, faults)
    names = _classes(file, objects, declared, reading)
    places = {name: number for number, name in enumerate(names)}
    for each in objects:
        if isinstance(each["category_id"], str):
            each["category_id"] = places.get(each["category_id"], each["category_id"])
    form = _form(file, objects, reading) if reading.wanted == "keypoints" else None
    return split_of(file, images, objects, dict(enumerate(names)), reading.wanted, form, where, str(root))


Rows = tuple[list[tuple[str, dict[str, Any]]], list[str] | None, Path | None]
"""Rows, each with its place; the names of the classes, and the folder of the images, where the table tells them."""


def _rows(file: Path) -> Rows:
    if file.suffix == ".parquet":
        return _parquet(file)
    rows = []
    faults = []
    for number, line in lines_of(file):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            faults.append(f"line {number}: it is no JSON: {error}")
            continue
        if not isinstance(row, dict):
            faults.append(f"line {number}: it is no object")
        rows.append((f"line {number}", row))
    require(file, faults)
    if not rows:
        raise AdaptError(f"{file} has no rows.", "Check that it was written completely.")
    return rows, None, None


def _parquet(file: Path) -> Rows:
    import pyarrow
    from pyarrow import parquet

    files = shards_of(file)
    stored = image_columns(schema_of(file))
    try:
        columns = [name for name in parquet.read_schema(file).names if name not in stored]
        table = pyarrow.concat_tables([parquet.read_table(each, columns=columns) for each in files])
    except (OSError, pyarrow.ArrowException) as error:
        raise AdaptError(f"{file} cannot be read: {error}", "Check that it is whole.") from error
    if "file_name" not in table.column_names and not stored:
        raise AdaptError(
            f"{file} has no column file_name and none with images; it has {listed(table.column_names)}.",
            "Give the paths of the images in file_name, or the images in image, as datasets.Image stores them.",
        )
    if not table.num_rows:
        raise AdaptError(f"{file} has no rows.", "Check that it was written completely.")
    declared = None
    if about := (table.schema.metadata or {}).get(b"huggingface"):  # where datasets keeps names of classes
        declared = _names_in(json.loads(about))
    rows = table.to_pylist()
    images = _images(file, stored, named="file_name" in table.column_names)
    if images is None:
        return [(f"row {number}", row) for number, row in enumerate(rows, 1)], declared, None
    folder, file_names = written(files, images)
    named = [{**row, "file_name": name} for row, name in zip(rows, file_names, strict=True)]
    return [(f"row {number}", row) for number, row in enumerate(named, 1)], declared, folder


def _images(file: Path, stored: Sequence[str], *, named: bool) -> str | None:
    """The column to take the images from, which goes before file_name; None where that is to be taken."""
    if not named:
        return "image" if "image" in stored else stored[0]
    # Columns by other names may hold masks, and one without bytes only repeats the paths.
    return "image" if "image" in stored and holds_bytes(file, "image") else None


def _names_in(features: Any) -> list[str] | None:
    """The names of the first ClassLabel under the key of a class."""
    if isinstance(features, Mapping):
        for key, value in features.items():
            if key in CATEGORIES and isinstance(value, Mapping):
                for each in (value, value.get("feature")):
                    if isinstance(each, Mapping) and isinstance(each.get("names"), list):
                        return list(each["names"])
            if found := _names_in(value):
                return found
    if isinstance(features, list):
        return next((found for each in features if (found := _names_in(each))), None)
    return None


def _objects(value: Any) -> list[dict[str, Any]] | str:
    """The objects of a row as COCO has them, but for ids; or what is wrong."""
    if value is None:
        return "it has no objects"
    if isinstance(value, Mapping):  # lists under a key each, as datasets stores them
        lists = {key: each for key, each in value.items() if each is not None}
        if wrong := [key for key, each in lists.items() if not isinstance(each, list)]:
            return f"{wrong[0]} of its objects is {lists[wrong[0]]!r}, and no list"
        lengths = {key: len(each) for key, each in lists.items()}
        if len(set(lengths.values())) > 1:
            return f"its objects have {', '.join(f'{count} {key}' for key, count in lengths.items())}"
        value = [dict(zip(lists, each, strict=True)) for each in zip(*lists.values(), strict=True)]
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        return f"objects is {str(value)[:60]!r}, and neither a list of objects nor an object of lists"
    return [_object(each) for each in value]


def _object(each: Mapping[str, Any]) -> dict[str, Any]:
    box = next((each[name] for name in BOXES if name in each), None)
    category = next((each[name] for name in CATEGORIES if name in each), None)
    others = {name: each[name] for name in OTHERS if each.get(name) is not None}
    if "iscrowd" in others:
        others["iscrowd"] = int(others["iscrowd"]) if isinstance(others["iscrowd"], bool) else others["iscrowd"]
    return {**others, "bbox": box, "category_id": category}


def _classes(
    file: Path, objects: Sequence[Mapping[str, Any]], declared: list[str] | None, reading: Reading
) -> Sequence[str]:
    known = reading.classes or reading.options.class_list or declared
    if declared is not None and known is not None and list(known) != declared:
        raise AdaptError(
            f"{file} has the classes {listed(declared)}, and not {listed(list(known))}.",
            "Give the same classes in the same order in dataset.class_list and in every split.",
        )
    if known is not None:
        return list(known)
    values = [each["category_id"] for each in objects]
    if values and all(isinstance(each, str) for each in values):
        return sorted(set(values))
    raise AdaptError(
        f"{file} gives classes as numbers, and no names for them.", "Name them in dataset.class_list (class_list)."
    )


def _form(file: Path, objects: Sequence[Mapping[str, Any]], reading: Reading) -> KeypointForm:
    names = reading.options.keypoint_names
    if names is None:
        counts = [len(each["keypoints"]) for each in objects if isinstance(each.get("keypoints"), list)]
        if not counts or counts[0] < 3:
            raise AdaptError(f"{file}: its objects have no keypoints.", "Give each keypoints: x, y, visibility, …")
        names = [str(number) for number in range(counts[0] // 3)]
    return keypoint_form(str(file), reading.options, names)


OBJECTS = Format(
    "an image folder with objects",
    "metadata.jsonl or metadata.parquet, in the folder or in train, or train.parquet with the images in it",
    frozenset({"boxes", "masks", "keypoints"}),
    find,
    read,
)
