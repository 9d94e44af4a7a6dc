"""Finds the splits of a data set: in folders, in tables, in a folder saved by ``datasets`` or on the hub."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.spelling import nearest
from adapt_core.utils.units import listed
from adapt_vision.data.folders import metadata_in, split_of, subfolders
from adapt_vision.data.listing import Listing
from adapt_vision.data.options import ImageDataOptions
from adapt_vision.data.parquet import files_by_split, holds_images, is_parquet, shards_of, splits_in
from adapt_vision.data.tables import IMAGE_NAMES, KNOWN, LABEL_NAMES, column, is_table, listing_of

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing"),
}
"""How the three splits are usually called, in any case."""


@dataclass(frozen=True)
class ImageSource:
    """A data set whose splits are known and not listed yet.

    Attributes:
        name: what the configuration calls it.
        splits: what lists each split, by the data's own name.
    """

    name: str
    splits: Mapping[str, Callable[[], Listing]]

    def list(self, split: str) -> Listing:
        """The images of a split. Raises AdaptError where they cannot be listed, or there are none."""
        found = self.splits[split]()
        if not len(found):
            raise AdaptError(f"{found.source} has no images.", "Check that it was written completely.")
        return found

    def roles(self, options: ImageDataOptions) -> dict[str, str | None]:
        """The data's names of the splits ``train``, ``validation`` and ``test``, as configured or usual.

        Raises:
            UsageError: a named split does not exist, or there is no training split.
            AdaptError: several could be it.
        """
        asked = {"train": options.train_split, "validation": options.validation_split, "test": options.test_split}
        for role, name in asked.items():
            if name is not None and name not in self.splits:
                raise UsageError(
                    f"{self.name} has no split {name!r}, which dataset.{role}_split names{nearest(name, self.splits)}",
                    f"The splits there are: {', '.join(self.splits)}.",
                )
        taken = set(asked.values())
        found = {role: name or self._usual(role, taken) for role, name in asked.items()}
        if found["train"] is None:
            raise UsageError(
                f"{self.name} has no training split. The splits there are: {', '.join(self.splits)}.",
                "Name the one to train on in dataset.train_split.",
            )
        return found

    def find(self, split: str) -> str:
        """The split of this name, or that usually called so. Raises UsageError where there is none."""
        name = split if split in self.splits else self._usual(split, set()) if split in USUAL_NAMES else None
        if name is None:
            raise UsageError(f"{self.name} has no split {split!r}.", f"The splits there are: {', '.join(self.splits)}.")
        return name

    def _usual(self, role: str, taken: set[str | None]) -> str | None:
        usual = [split for split in self.splits if split.lower() in USUAL_NAMES[role] and split not in taken]
        if len(usual) > 1:
            raise AdaptError(
                f"{self.name} has {len(usual)} splits that could be its {role} split: {', '.join(usual)}.",
                f"Name the one to use in dataset.{role}_split.",
            )
        return usual[0] if usual else None


def open_source(options: ImageDataOptions) -> ImageSource:
    """The data that a configuration names.

    Raises:
        UsageError: there is none.
        AdaptError: it cannot be reached or read.
    """
    if options.name is not None:
        return _hub(options.name, options)
    return open_local(options.path or "", options)


def open_local(name: str, options: ImageDataOptions) -> ImageSource:
    """Local data: a folder of images or of tables, a table, or a folder that ``datasets`` saved.

    Raises:
        UsageError: there is none.
        AdaptError: it cannot be read.
    """
    path = Path(name)
    if not os.path.exists(path):  # noqa: PTH110  # Path.exists() raises for a name that is too long.
        raise UsageError(f"There is no data at {path}.", "Check the path; it is taken from the current directory.")
    if not path.is_dir():
        if is_parquet(path) and holds_images(path):
            return _parquet({"train": shards_of(path)}, str(path), options)
        if not is_table(path):
            raise UsageError(f"{path} is no table that can be read.", f"Name a folder, or a table: {KNOWN}.")
        return ImageSource(str(path), {"train": partial(listing_of, path, options)})
    if any((path / each).is_file() for each in ("dataset_dict.json", "state.json")):
        return _saved(path, options)
    stored = files_by_split(path)
    embedded = bool(stored) and holds_images(next(iter(stored.values()))[0])
    if stored and not metadata_in(path) and (embedded or not subfolders(path)):
        whole = splits_in(path)
        if embedded:
            return _parquet(whole, str(path), options)
    return _folder(path, options)


def _folder(path: Path, options: ImageDataOptions) -> ImageSource:
    if metadata_in(path):
        return ImageSource(str(path), {"train": partial(split_of, path, options)})
    folders = {each.name: each for each in subfolders(path)}
    named = {options.train_split, options.validation_split, options.test_split} & set(folders)
    usual = [name for name in folders if name.lower() in USUAL_NAMES["train"]]
    tables = {each.stem: each for each in sorted(path.iterdir()) if is_table(each)}
    if tables and not named and not usual:
        return ImageSource(str(path), {name: partial(listing_of, each, options, path) for name, each in tables.items()})
    if named or usual:
        return ImageSource(str(path), {name: partial(split_of, each, options) for name, each in folders.items()})
    splits = [name for name in folders if name.lower() in (*USUAL_NAMES["validation"], *USUAL_NAMES["test"])]
    if splits and len(splits) == len(folders):
        return ImageSource(str(path), {name: partial(split_of, each, options) for name, each in folders.items()})
    return ImageSource(str(path), {"train": partial(split_of, path, options)})


# ---- the datasets library -------------------------------------------------------------------------------------


class StoredImages(Sequence[Any]):
    """The image files in a column of a ``datasets.Dataset``, each read when it is asked for."""

    def __init__(self, dataset: Any, name: str) -> None:
        import datasets

        self.name = name
        self.rows = dataset.select_columns([name]).cast_column(name, datasets.Image(decode=False))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        value = self.rows[index][self.name]
        if value is None:
            raise ValueError("there is no image in this row")
        return value["bytes"] if value["bytes"] is not None else value["path"]


def _saved(path: Path, options: ImageDataOptions) -> ImageSource:
    import datasets

    try:
        found = datasets.load_from_disk(str(path))
    # Broad: the library states no list of what a damaged folder makes it raise.
    except Exception as error:
        raise AdaptError(
            f"{path} looks like a folder saved by datasets and cannot be loaded: {error}", "Save it again."
        ) from error
    splits = {"train": found} if isinstance(found, datasets.Dataset) else dict(found)
    return ImageSource(str(path), dict(_stored(splits, str(path), options)))


def _parquet(files: Mapping[str, Sequence[Path]], name: str, options: ImageDataOptions) -> ImageSource:
    import datasets

    # The library takes few characters in names of splits, which are names of files here.
    names = {f"split{number}": split for number, split in enumerate(files)}
    named = {key: [str(each) for each in files[split]] for key, split in names.items()}
    try:
        found = datasets.load_dataset("parquet", data_files=named)
    # Broad: the library states no list of what a damaged file makes it raise.
    except Exception as error:
        reason = error.__cause__ or error
        raise AdaptError(f"{name} cannot be loaded: {reason}", "Check that its Parquet files are whole.") from error
    return ImageSource(name, dict(_stored({names[key]: rows for key, rows in found.items()}, name, options)))


def _hub(name: str, options: ImageDataOptions) -> ImageSource:
    import datasets

    try:
        found = datasets.load_dataset(name, options.config)
    # Broad: the library states no list of what a name, a network or a configuration makes it raise.
    except Exception as error:
        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise AdaptError(
            f"The data set {name} cannot be loaded from the hub: {text}",
            "Check its name (OWNER/NAME), its configuration in dataset.config (DATASET_CONFIG) and the network; or "
            "save it with save_to_disk where it can be loaded, and name that folder in dataset.path.",
        ) from error
    return ImageSource(name, dict(_stored(found, name, options)))


def _stored(
    splits: Mapping[str, Any], name: str, options: ImageDataOptions
) -> Iterator[tuple[str, Callable[[], Listing]]]:
    for split, rows in splits.items():
        yield split, partial(_list_stored, rows, f"{name}, split {split}", options)


def _list_stored(rows: Any, source: str, options: ImageDataOptions) -> Listing:
    import datasets

    columns = dict(rows.features)
    for each, kind in columns.items():
        if isinstance(kind, Mapping) and set(kind) == {"bytes", "path"}:  # images, of which the table does not say so
            rows = rows.cast_column(each, datasets.Image())
    columns = dict(rows.features)
    image = column(columns, options.image_column, IMAGE_NAMES, "image", source)
    label = column(columns, options.label_column, LABEL_NAMES, "label", source)
    if not isinstance(columns[image], datasets.Image):
        raise AdaptError(
            f"{source}: column {image!r} holds {columns[image]}, and no images.",
            "Name the column of the images in dataset.image_column, or cast it: "
            f"dataset.cast_column({image!r}, datasets.Image()).",
        )
    values = rows[label][:] if len(rows) else []
    names = columns[label].names if isinstance(columns[label], datasets.ClassLabel) else None
    missing = [row for row, value in enumerate(values) if value is None or (names is not None and value < 0)]
    if missing:
        raise AdaptError(
            f"{source}: the label is missing in column {label!r} at row {listed([row + 1 for row in missing])} "
            f"({len(missing)} of {len(values)} rows).",
            "Give these rows a label or remove them.",
        )
    labels = [names[value] if names is not None else str(value) for value in values]
    return Listing(source, StoredImages(rows, image), [f"{source}, row {row + 1}" for row in range(len(rows))], labels)
