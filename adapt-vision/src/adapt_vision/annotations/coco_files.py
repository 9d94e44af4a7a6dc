"""COCO's JSON in a folder: the file of each split, and the folder of its images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed
from adapt_vision.annotations.coco import read_coco
from adapt_vision.annotations.objects import Split
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.reading import ROLE_KEYS, Format, Named, Reading, named_file
from adapt_vision.data.source import USUAL_NAMES

PREFIXES = ("", "instances_", "person_keypoints_")
YEARS = ("", "2017", "2014")


def find(folder: Path, named: Named) -> dict[str, Path]:
    """The file of each split. Raises AdaptError where several could be one."""
    files: dict[str, Path] = {}
    for role in USUAL_NAMES:
        if name := named.get(role):
            files[role] = named_file(folder, name, role, "annotations")
        elif found := list(_usual(folder, role)):
            if len(found) > 1:
                names = listed([str(each.relative_to(folder)) for each in found])
                raise AdaptError(
                    f"{folder} holds several files that could annotate its {role} split: {names}.",
                    f"Name one in dataset.{ROLE_KEYS[role]}.",
                )
            files[role] = found[0]
    return files


def _usual(folder: Path, role: str) -> Iterator[Path]:
    for name in USUAL_NAMES[role]:
        for place in (folder / "annotations", folder):
            for prefix in PREFIXES:
                for year in YEARS:
                    if (file := place / f"{prefix}{name}{year}.json").is_file():
                        yield file
        if (file := folder / name / "_annotations.coco.json").is_file():
            yield file


def read(file: Path, reading: Reading) -> Split:
    """Reads the file of one split."""
    split = read_coco(file, reading.options, reading.wanted)
    folder = image_folder(file, reading.folder, reading.options, split.files[0])
    return replace(split, folder=str(folder))


def image_folder(annotations: Path, folder: Path, options: AnnotatedImageOptions, first: str) -> Path:
    """The folder that file names start from: the first usual one that holds the first image.

    Raises:
        AdaptError: none does.
    """
    stem = annotations.stem.rpartition("_")[2]
    above = annotations.parent.parent if annotations.parent.name == "annotations" else folder
    roots = list(dict.fromkeys([folder, above]))  # a file that is named by itself has no folder but its own
    usual = [each for root in roots for each in (root / stem, root / "images" / stem, root / "images")]
    usual += list(dict.fromkeys([annotations.parent, *roots]))
    tried = [Path(options.image_root)] if options.image_root else usual
    for each in tried:
        if (each / first).is_file():
            return each
    raise AdaptError(
        f"{annotations}: its first image, {first}, is not in {listed([str(each) for each in tried])}.",
        "Name the folder that file names start from in dataset.image_root.",
    )


COCO = Format(
    "COCO's JSON",
    "annotations/train.json, train.json or train/_annotations.coco.json",
    frozenset({"boxes", "masks", "keypoints"}),
    find,
    read,
)
