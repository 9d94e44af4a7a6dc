"""Lists the images of folders: a folder a class, or a table of names beside the images."""

from __future__ import annotations

import os
from pathlib import Path

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.units import listed
from adapt_vision.data.decoding import is_image
from adapt_vision.data.listing import Listing
from adapt_vision.data.options import ImageDataOptions
from adapt_vision.data.tables import listing_of

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""What ``datasets`` calls a table of file names beside images."""


def metadata_in(folder: Path) -> Path | None:
    """The table of names in a folder of images; None where there is none. Raises AdaptError where there are several."""
    found = [folder / name for name in METADATA if (folder / name).is_file()]
    if len(found) > 1:
        raise AdaptError(f"{folder} holds {listed([each.name for each in found])}.", "Keep one of them.")
    return found[0] if found else None


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name, without hidden ones."""
    return [each for each in _entries(folder) if each.is_dir()]


def split_of(folder: Path, options: ImageDataOptions) -> Listing:
    """The images of one split: those that its table names, or those of a folder for each class.

    Raises:
        UsageError: there is no class.
        AdaptError: a class has no image, or images lie outside the classes.
    """
    if table := metadata_in(folder):
        return listing_of(table, options)
    classes = subfolders(folder)
    loose = [each.name for each in _entries(folder) if each.is_file() and is_image(each)]
    if not classes:
        holds = f"{len(loose)} images and no folder of a class" if loose else "no images"
        raise UsageError(
            f"{folder} holds {holds}.",
            f"Put the images of each class into a folder with its name, or name them in {METADATA[0]}, with the "
            "columns file_name and label.",
        )
    if loose:
        raise AdaptError(
            f"{folder} holds {len(loose)} images beside the folders of its classes: {listed(loose)}.",
            "Move them into the folder of their class.",
        )
    images: list[str] = []
    labels: list[str] = []
    others = 0
    empty = []
    for each in classes:
        files = files_in(each)
        own = [str(file) for file in files if is_image(file)]
        others += len(files) - len(own)
        images += own
        labels += [each.name] * len(own)
        if not own:
            empty.append(each.name)
    if empty:
        raise AdaptError(
            f"{folder}: {len(empty)} of {len(classes)} classes have no images: {listed(empty)}.",
            "Give each folder images, or remove it.",
        )
    return Listing(str(folder), images, images, labels, others)


def files_in(folder: Path) -> list[Path]:
    """The files in a folder and in those below it, by name, without hidden ones."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in sorted(names) if not name.startswith(".")]
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError as error:
        raise AdaptError(f"The folder {folder} cannot be read: {error}.", "Check its permissions.") from error
