"""Reads the XML of Pascal VOC (Everingham et al. 2010, doi:10.1007/s11263-009-0275-4), a file for each image."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed
from adapt_vision.annotations.masks import Size
from adapt_vision.annotations.objects import Annotation, Split
from adapt_vision.annotations.reading import (
    Format,
    Named,
    Reading,
    image_called,
    listed_names,
    named_file,
    require,
    why_not_a_box,
    within,
)
from adapt_vision.data.source import USUAL_NAMES

ANNOTATIONS = ("Annotations", "annotations")
IMAGES = ("JPEGImages", "images", "Images")
LISTS = ("ImageSets/Main", "ImageSets")
HEAD = 4096
"""Bytes of a file in which its root stands."""


def find(folder: Path, named: Named) -> dict[str, Path]:
    """Of each split the list of its images, or the folder of its XML files."""
    whole = _annotations(folder)
    files = {role: named_file(folder, name, role, *LISTS) for role, name in named.items() if name and whole}
    for role in USUAL_NAMES:
        usual = USUAL_NAMES[role] if role != "train" else (*USUAL_NAMES[role], "trainval")
        lists = [folder / place / f"{name}.txt" for name in usual for place in LISTS]
        folders = [
            each
            for name in usual
            for each in (folder / name, *((one / name) for one in _places(folder)), *_places(folder / name))
        ]
        found = [each for each in lists if whole and each.is_file()] + [each for each in folders if _has_xml(each)]
        if role not in files and found:
            files[role] = found[0]
    if not files and whole is not None:
        files["train"] = whole
    return files


def _places(folder: Path) -> list[Path]:
    return [folder / name for name in ANNOTATIONS]


def _has_xml(folder: Path) -> bool:
    """Whether there are annotations in a folder, as far as the first of its XML files tell."""
    first = islice(sorted(folder.glob("*.xml")), 3) if folder.is_dir() else ()
    return any(b"<annotation" in each.read_bytes()[:HEAD] for each in first)


def _annotations(folder: Path) -> Path | None:
    return next((each for each in (*_places(folder), folder) if _has_xml(each)), None)


@dataclass(frozen=True)
class _Image:
    """What an XML file says: the image's name and size, None where it does not, and its objects with their classes."""

    name: str | None
    size: Size | None
    objects: Sequence[tuple[str, Annotation]]


def read(file: Path, reading: Reading) -> Split:
    """Reads one split.

    Pixels are counted from 1, and the last belongs to the box: (1, 1, width, height) is the whole image. Objects that
    are ``difficult`` count as crowds do: they are not learned, and to find them is no mistake.

    Raises:
        AdaptError: annotations are malformed; all that is wrong is named by file and object, up to twenty.
    """
    files = sorted(file.glob("*.xml")) if file.is_dir() else _listed(file, reading.folder)
    faults: list[str] = []
    read_images = [_image(each, faults) for each in files]
    require(file, faults)
    names = _classes(read_images, reading)
    places = {name: place for place, name in enumerate(names)}
    images = [_file(each, made, reading) for each, made in zip(files, read_images, strict=True)]
    require(file, [f"{each}: its image is not there" for each, image in zip(files, images, strict=True) if not image])
    number = 0
    objects: list[list[Annotation]] = []
    for each, made in zip(files, read_images, strict=True):
        objects.append([])
        for place, (name, one) in enumerate(made.objects, 1):
            number += 1
            if name in places:
                objects[-1].append(replace(one, id=number, category=places[name]))
            else:
                faults.append(f"{each}, object {place}: its class is {name!r}; the classes are {listed(names)}")
    require(file, faults)
    return Split(
        str(file),
        [str(image) for image in images],
        list(range(1, len(images) + 1)),
        [each.size for each in read_images],
        dict(enumerate(names)),
        objects,
    )


def _listed(file: Path, folder: Path) -> list[Path]:
    places = [each for each in (*_places(folder), folder) if _has_xml(each)]
    if not places:
        raise AdaptError(f"{folder} has no XML files in Annotations.", "They belong there, one for each image.")
    names = [name.split()[0] for name in listed_names(file)]
    files = [next((one / f"{name}.xml" for one in places if (one / f"{name}.xml").is_file()), None) for name in names]
    require(file, [f"there is no {name}.xml" for name, each in zip(names, files, strict=True) if each is None])
    return [each for each in files if each is not None]


def _file(file: Path, image: _Image, reading: Reading) -> Path | None:
    """The image of an XML file: by the name in it, or by its own."""
    folder = reading.folder
    if reading.options.image_root:
        folders = [Path(reading.options.image_root)]
    else:
        split = file.parent if file.parent.name not in ANNOTATIONS else file.parent.parent
        usual = [folder / name for name in IMAGES]
        folders = [file.parent, split, *(split / name for name in IMAGES), *usual]
        folders += [each / file.parent.name for each in (*usual, folder)]
    return image_called(image.name or file.stem, folders) or image_called(file.stem, folders)


def _classes(images: Sequence[_Image], reading: Reading) -> list[str]:
    """The names of the training split or the configuration; by default all that come up, by name."""
    if reading.classes is not None:
        return list(reading.classes)
    if reading.options.class_list is not None:
        return list(reading.options.class_list)
    return sorted({name for image in images for name, _ in image.objects})


def _image(file: Path, faults: list[str]) -> _Image:
    """What a file says. What is wrong is added to the faults."""
    nothing = _Image(None, None, [])
    try:
        data = file.read_bytes()
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            faults.append(f"{file} declares a document type, which annotations have no need of")
            return nothing
        root = ElementTree.fromstring(data)  # without a document type there are no entities to expand
    except (OSError, ValueError, ElementTree.ParseError) as error:
        faults.append(f"{file} is no XML: {error}")
        return nothing
    if root.tag != "annotation":
        faults.append(f"{file} holds <{root.tag}>, and not the <annotation> of Pascal VOC")
        return nothing
    try:
        size = _size(root)
    except ValueError as error:
        faults.append(f"{file}: {error}")
        return nothing
    name = Path((root.findtext("filename") or "").strip().replace("\\", "/")).name or None
    objects: list[tuple[str, Annotation]] = []
    for place, each in enumerate(root.iter("object"), 1):
        try:
            objects.append(_object(each, size, name or file.stem))
        except ValueError as error:
            faults.append(f"{file}, object {place}: {error}")
    return _Image(name, size, objects)


def _size(root: ElementTree.Element) -> Size | None:
    size = root.find("size")
    if size is None:
        return None
    width, height = _number(size, "width"), _number(size, "height")
    if width < 1 or height < 1 or width != int(width) or height != int(height):
        raise ValueError(f"its size is {width:g} × {height:g}, and no number of pixels")
    return int(width), int(height)


def _object(each: ElementTree.Element, size: Size | None, image: str) -> tuple[str, Annotation]:
    name = (each.findtext("name") or "").strip()
    if not name:
        raise ValueError("it has no name")
    corners = each.find("bndbox")
    if corners is None:
        raise ValueError("it has no bndbox")
    left, top, right, bottom = (_number(corners, key) for key in ("xmin", "ymin", "xmax", "ymax"))
    if right < left or bottom < top:
        raise ValueError(f"its bndbox goes from ({left:g}, {top:g}) to ({right:g}, {bottom:g}): it is empty")
    box = (left - 1, top - 1, right - left + 1, bottom - top + 1)
    if fault := why_not_a_box(box, size, image):
        raise ValueError(fault)
    difficult = (each.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise ValueError(f"difficult is {difficult!r}, and neither 0 nor 1")
    box = within(box, size)
    return name, Annotation(0, 0, box, box[2] * box[3], difficult == "1")


def _number(parent: ElementTree.Element, key: str) -> float:
    text = parent.findtext(key)
    try:
        value = float(text or "")
    except ValueError:
        raise ValueError(f"{key} of its {parent.tag} is {text!r}, and no number") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"{key} of its {parent.tag} is {text!r}, and no number of pixels")
    return value


VOC = Format(
    "Pascal VOC's XML",
    "Annotations/*.xml with JPEGImages, or train/*.xml",
    frozenset({"boxes"}),
    find,
    read,
)
