"""Finds the annotations of a data set's splits, whatever their format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.units import listed
from adapt_vision.annotations.coco_files import COCO
from adapt_vision.annotations.objects import Split, Wanted
from adapt_vision.annotations.objects_column import OBJECTS
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.palette import PALETTE
from adapt_vision.annotations.reading import ROLE_KEYS, Format, Reading
from adapt_vision.annotations.voc import VOC
from adapt_vision.annotations.yolo import YOLO
from adapt_vision.data.decoding import is_image
from adapt_vision.data.folders import files_in

FORMATS: dict[str, Format] = {"coco": COCO, "yolo": YOLO, "voc": VOC, "objects": OBJECTS, "palette": PALETTE}

BY_SUFFIX = {
    ".json": ("coco",),
    ".yaml": ("yolo",),
    ".yml": ("yolo",),
    ".jsonl": ("objects",),
    ".parquet": ("objects",),
    ".txt": ("voc", "palette"),
}
"""The formats of a file that is named."""


@dataclass(frozen=True)
class AnnotationFiles:
    """The files of a data set.

    Attributes:
        folder: of the data set.
        format: by its name in :data:`FORMATS`.
        files: of each role (``train``, ``validation``, ``test``) that is there.
    """

    folder: Path
    format: str
    files: dict[str, Path]

    def name(self, role: str) -> str:
        """What to call a split: its file, and what tells it from others of that name."""
        file, all_files = self.files[role], list(self.files.values())
        if [each.name for each in all_files].count(file.name) == 1:
            return file.name
        told = str(file.relative_to(self.folder))
        return f"{told}, {role}" if all_files.count(file) > 1 else told

    def read(self, role: str, options: AnnotatedImageOptions, wanted: Wanted, classes: list[str] | None) -> Split:
        """Reads a split. Raises AdaptError for what is wrong with it.

        Args:
            role: of the split.
            options: the ``dataset`` section.
            wanted: what is read of objects, beside their boxes.
            classes: the names that the training split has, where this is another one.
        """
        reading = Reading(self.folder, role, options, wanted, classes)
        return FORMATS[self.format].read(self.files[role], reading)


def open_annotations(
    options: AnnotatedImageOptions, source: str | None = None, wanted: Wanted = "boxes"
) -> AnnotationFiles:
    """The files that a configuration names, or those of other data.

    Args:
        options: the ``dataset`` section.
        source: another folder or file, whose own names are looked for alone.
        wanted: what is read of objects, beside their boxes.

    Raises:
        UsageError: there is no such data, or no training split.
        AdaptError: several files could be a split, or the data is of no format that gives what is wanted.
    """
    path = Path(source if source is not None else options.path or "")
    if not path.exists():
        raise UsageError(f"There is no data at {path}.", "Check the path; it is taken from the current directory.")
    asked = {} if source is not None else {role: getattr(options, key) for role, key in ROLE_KEYS.items()}
    if path.is_file() and path.suffix not in (".yaml", ".yml"):
        if asked.get("train"):
            raise UsageError(
                f"dataset.path is a file, {path}, and dataset.train_ann_file names another.", "Remove one of them."
            )
        folder = _root_of(path)
        asked["train"] = str(path.relative_to(folder))
        named = {role: name for role, name in asked.items() if name}
        form = _format(folder, options, named, wanted)
        found = FORMATS[form].find(folder, named)
        return AnnotationFiles(folder, form, {role: found[role] for role in named})
    named = {role: name for role, name in asked.items() if name}
    form = _format(path, options, named, wanted)
    files = FORMATS[form].find(path, named)
    if "train" not in files and source is None:
        raise UsageError(
            f"{path} holds no annotations of a training split.",
            f"Name them in dataset.train_ann_file; by itself {FORMATS[form].layout} is found.",
        )
    if not files:
        raise UsageError(f"{path} holds no annotations.", f"Looked for was {FORMATS[form].layout}.")
    return AnnotationFiles(path if path.is_dir() else path.parent, form, files)


def _root_of(file: Path) -> Path:
    """The folder of the data set that a file is of. A list of images may lie below it, as in ``ImageSets/Main``."""
    if file.suffix.lower() == ".txt":
        for folder in list(file.parents)[:3]:
            named = {"train": str(file.relative_to(folder))}
            if any(FORMATS[kind].find(folder, named) for kind in BY_SUFFIX[".txt"]):
                return folder
    return file.parent


def _format(path: Path, options: AnnotatedImageOptions, named: dict[str, str], wanted: Wanted) -> str:
    """The format of data: as it is named, or as the files tell."""
    allowed = list(FORMATS) if options.format == "auto" else [options.format]
    for role, name in named.items():
        kinds = BY_SUFFIX.get(Path(name).suffix.lower())
        if kinds is None:
            raise UsageError(
                f"{name}, which is named for the {role} split, is of no format that is read here.",
                f"Name one that ends in {listed(list(BY_SUFFIX))}.",
            )
        allowed = [each for each in allowed if each in kinds]
    if not allowed:
        raise UsageError(
            f"The files {listed(list(named.values()))} are not of one format, or not of dataset.format, "
            f"{options.format}.",
            "Name files of one format.",
        )
    found = [each for each in allowed if FORMATS[each].find(path, named)] if len(allowed) > 1 else allowed
    able = [each for each in found if wanted in FORMATS[each].gives]
    if wanted == "boxes" and "voc" in able and "palette" in able:
        able.remove("palette")  # the masks of Pascal VOC, whose boxes are in its XML
    if len(able) == 1:
        return able[0]
    if able:
        titles = " and ".join(f"{FORMATS[each].title} ({each})" for each in able)
        raise AdaptError(f"{path} holds annotations in several formats: {titles}.", "Name one in dataset.format.")
    if found:
        raise AdaptError(
            f"{path} holds {FORMATS[found[0]].title}, which has no {wanted}.",
            f"These have: {listed([each.title for each in FORMATS.values() if wanted in each.gives])}.",
        )
    raise UsageError(f"{path} holds no annotations that are read here{_foreign(path)}.", _layouts())


def _foreign(path: Path) -> str:
    """What there is instead, by the endings of the files."""
    files = [each for each in files_in(path) if not is_image(each)] if path.is_dir() else [path]
    counts = Counter(each.suffix or "no ending" for each in files)
    told = [f"{count} {suffix}" for suffix, count in counts.most_common(5)]
    return f"; it has files with {', '.join(told)}" if told else ""


def _layouts() -> str:
    told = "; ".join(f"{each.title}: {each.layout}" for each in FORMATS.values())
    return f"Name the annotations of the training split in dataset.train_ann_file, or use a usual layout. {told}."
