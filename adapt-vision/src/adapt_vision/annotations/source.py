"""Finds the annotations of a data set's splits, and the folders of their images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.units import listed
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.data.source import USUAL_NAMES

PREFIXES = ("", "instances_", "person_keypoints_")
YEARS = ("", "2017", "2014")


@dataclass(frozen=True)
class AnnotationFiles:
    """The files of a data set.

    Attributes:
        folder: of the data set.
        files: the file of each role (``train``, ``validation``, ``test``) that is there.
    """

    folder: Path
    files: dict[str, Path]


def open_annotations(options: AnnotatedImageOptions, source: str | None = None) -> AnnotationFiles:
    """The files that a configuration names, or those of other data.

    Args:
        options: the ``dataset`` section.
        source: another folder or file, whose own names are looked for alone.

    Raises:
        UsageError: there is no such data, or no training split.
        AdaptError: several files could be a split.
    """
    path = Path(source if source is not None else options.path or "")
    if not path.exists():
        raise UsageError(f"There is no data at {path}.", "Check the path; it is taken from the current directory.")
    asked = {} if source is not None else {role: getattr(options, key) for role, key in ROLE_KEYS.items()}
    if path.is_file():
        if asked.get("train"):
            raise UsageError(
                f"dataset.path is a file, {path}, and dataset.train_ann_file names another.", "Remove one of them."
            )
        others = {role: _named(path.parent, name, role) for role, name in asked.items() if name}
        return AnnotationFiles(path.parent, {"train": path, **others})
    files: dict[str, Path] = {}
    for role in USUAL_NAMES:
        if named := asked.get(role):
            files[role] = _named(path, named, role)
        elif found := list(_usual(path, role)):
            if len(found) > 1:
                names = listed([str(each.relative_to(path)) for each in found])
                raise AdaptError(
                    f"{path} holds several files that could annotate its {role} split: {names}.",
                    f"Name one in dataset.{ROLE_KEYS[role]}.",
                )
            files[role] = found[0]
    if "train" not in files and source is None:
        raise UsageError(
            f"{path} holds no annotations of a training split.",
            "Name the COCO JSON in dataset.train_ann_file; by itself annotations/train.json or train.json is found.",
        )
    if not files:
        raise UsageError(f"{path} holds no annotations.", "Name a COCO JSON, or a folder with annotations/val.json.")
    return AnnotationFiles(path, files)


ROLE_KEYS = {"train": "train_ann_file", "validation": "val_ann_file", "test": "test_ann_file"}


def _named(folder: Path, name: str, role: str) -> Path:
    tried = [folder / name, folder / "annotations" / name]
    for each in tried:
        if each.is_file():
            return each
    raise UsageError(
        f"There is no file {tried[0]} or {tried[1]}, which dataset.{ROLE_KEYS[role]} names.", "Check the name."
    )


def _usual(folder: Path, role: str) -> Iterator[Path]:
    for name in USUAL_NAMES[role]:
        for place in (folder / "annotations", folder):
            for prefix in PREFIXES:
                for year in YEARS:
                    if (file := place / f"{prefix}{name}{year}.json").is_file():
                        yield file
        if (file := folder / name / "_annotations.coco.json").is_file():
            yield file


def image_folder(annotations: Path, folder: Path, options: AnnotatedImageOptions, first: str) -> Path:
    """The folder that file names start from: the first usual one that holds the first image.

    Raises:
        AdaptError: none does.
    """
    stem = annotations.stem.rpartition("_")[2]
    usual = [folder / stem, folder / "images" / stem, folder / "images", annotations.parent, folder]
    tried = [Path(options.image_root)] if options.image_root else usual
    for each in tried:
        if (each / first).is_file():
            return each
    raise AdaptError(
        f"{annotations}: its first image, {first}, is not in {listed([str(each) for each in tried])}.",
        "Name the folder that file names start from in dataset.image_root.",
    )
