"""Finds the splits of a data set: on the hub, in a file, in a folder of files or in a folder saved by ``datasets``.

A split is read only when it is asked for: into a cache, from which it is mapped into memory, or without one into
memory, or part by part.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.spelling import nearest
from adapt_core.utils.units import listed
from adapt_nlp.data.file_splits import SHARD, Split, of_file, of_files
from adapt_nlp.data.files import KNOWN, file_format, from_arrow
from adapt_nlp.data.table import LazyColumns, Table, joined
from adapt_nlp.data.views import BATCH, Column, SavedRows

if TYPE_CHECKING:
    from adapt_nlp.data.cache import Cache
    from adapt_nlp.data.options import SplitDataOptions

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing"),
}
"""How the three splits are usually called, in any case."""


@dataclass(frozen=True)
class Roles:
    """The data's own names of the splits that are used; None where there is none."""

    train: str
    validation: str | None
    test: str | None


@dataclass(frozen=True)
class DataSource:
    """A data set whose splits are known and not read yet.

    Attributes:
        name: what the configuration calls it.
        splits: by their own names.
        cache: where rows of local files are kept; None to have them in memory.
    """

    name: str
    splits: Mapping[str, Split]
    cache: Cache | None = None

    def read(self, split: str) -> Table:
        """Reads one split. Raises AdaptError when it is malformed."""
        return self.splits[split].read(self.cache)

    def roles(self, options: SplitDataOptions) -> Roles:
        """Which split is which: those that the options name, and the others by their usual names.

        Raises:
            UsageError: a named split does not exist, or there is no training split.
            AdaptError: two splits could be the same one.
        """
        chosen = {"train": options.train_split, "validation": options.validation_split, "test": options.test_split}
        for role, name in chosen.items():
            if name is not None and name not in self.splits:
                raise UsageError(
                    f"{self.name} has no split {name!r}, which dataset.{role}_split names{nearest(name, self.splits)}",
                    f"The splits there are: {', '.join(self.splits)}.",
                )
        taken = set(chosen.values())
        train, validation, test = (name or self._usual(role, taken) for role, name in chosen.items())
        if train is None:
            raise UsageError(
                f"{self.name} has no training split. The splits there are: {', '.join(self.splits)}.",
                "Name the one to train on in dataset.train_split.",
            )
        return Roles(train, validation, test)

    def find(self, split: str) -> str:
        """The split of this name, or the one usually called ``train``, ``validation`` or ``test``.

        Raises:
            UsageError: there is no such split.
            AdaptError: two splits could be it.
        """
        name = split if split in self.splits else self._usual(split, set()) if split in USUAL_NAMES else None
        if name is None:
            raise UsageError(f"{self.name} has no split {split!r}.", f"The splits there are: {', '.join(self.splits)}.")
        return name

    def _usual(self, role: str, taken: Set[str | None]) -> str | None:
        """The one split, of those not taken, that usually is called like a role's; None where there is none."""
        usual = [split for split in self.splits if split.lower() in USUAL_NAMES[role] and split not in taken]
        if len(usual) > 1:
            raise AdaptError(
                f"{self.name} has {len(usual)} splits that could be its {role} split: {', '.join(usual)}.",
                f"Name the one to use in dataset.{role}_split.",
            )
        return usual[0] if usual else None


def open_source(options: SplitDataOptions, cache: Cache | None = None) -> DataSource:
    """Finds the splits of the data that a configuration names.

    Args:
        options: the ``dataset`` section.
        cache: where rows of local files are kept; None to read them into memory.

    Raises:
        UsageError: the configuration names nothing that can be read.
        AdaptError: the data set cannot be reached or is damaged.
    """
    if options.name is not None:
        return _hub(options.name, options.config, options.streaming)
    return open_local(options.path or "", cache)


def open_local(name: str, cache: Cache | None = None) -> DataSource:
    """Finds the splits of local data: a file, a folder of files, or a folder saved by ``datasets``.

    Args:
        name: its path.
        cache: as for :func:`open_source`.

    Raises:
        UsageError: there is nothing at this path that can be read.
        AdaptError: a saved folder is damaged.
    """
    path = Path(name)
    if not os.path.exists(path):  # noqa: PTH110  # Path.exists() raises for a name that is too long.
        raise UsageError(f"There is no data at {path}.", "Check the path; it is taken from the current directory.")
    if not path.is_dir():
        return DataSource(str(path), {"train": of_file(path)}, cache)
    if any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
        return _saved(path)
    return _folder(path, cache)


# ---- files ----------------------------------------------------------------------------------------------------


def _folder(path: Path, cache: Cache | None) -> DataSource:
    """One file a split (``train.csv``), or several shards of it (``train-00000-of-00002.parquet``)."""
    files: dict[str, list[Path]] = {}
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise AdaptError(f"The folder {path} cannot be read: {error}.", "Check its permissions.") from error
    for file in entries:
        if file.is_file() and file_format(file) is not None and not file.name.startswith("."):
            files.setdefault(SHARD.sub("", file.name.split(".")[0]), []).append(file)
    if not files:
        inside = [entry.name + "/" * entry.is_dir() for entry in entries]
        raise UsageError(
            f"The folder {path} holds no data files; it holds {listed(inside) or 'nothing'}.",
            f"Name a folder with a train file and, if you have them, a validation and a test file: {KNOWN}.",
        )
    return DataSource(str(path), {split: of_files(split, paths) for split, paths in files.items()}, cache)


# ---- the datasets library -------------------------------------------------------------------------------------


def _saved(path: Path) -> DataSource:
    """A folder that ``save_to_disk`` wrote: a ``DatasetDict``, or one ``Dataset``, which is the training split."""
    import datasets

    try:
        content = datasets.load_from_disk(str(path))
    except Exception as error:  # the library states no list of what a damaged folder makes it raise
        raise AdaptError(
            f"{path} looks like a folder saved by datasets and cannot be loaded: {_reason(error)}",
            "Save it again with save_to_disk, or name a CSV, JSON lines or Parquet file.",
        ) from error
    if isinstance(content, datasets.Dataset):
        return DataSource(str(path), {"train": _of_dataset(content, str(path))})
    return _of_dict(content, str(path))


def _hub(name: str, config: str | None, streaming: bool) -> DataSource:
    """A data set of the hub. No code that it may hold is run: ``datasets`` no longer does."""
    if os.path.exists(name):  # noqa: PTH110  # Path.exists() raises for a name that is too long.
        raise UsageError(
            f"dataset.name (DATASET) is for data sets of the hub, and {name} is a local path.",
            "Name it in dataset.path (CUSTOM_DATASET_PATH).",
        )
    import datasets

    if name.isidentifier() and importlib.util.find_spec(f"datasets.packaged_modules.{name}") is not None:
        raise UsageError(
            f"dataset.name (DATASET) is {name!r}, which is a file format and no data set of the hub.",
            "Name the file in dataset.path (CUSTOM_DATASET_PATH).",
        )
    title = f"{name} ({config})" if config else name
    offline = "save it with save_to_disk where it can be loaded, and name that folder in dataset.path."
    try:
        content = datasets.load_dataset(name, config, streaming=streaming)
    except ConnectionError as error:
        raise AdaptError(
            f"The hub cannot be reached for the data set {title}: {_reason(error)}",
            f"Check the network (and HF_HUB_OFFLINE, HF_ENDPOINT), or {offline}",
        ) from error
    except datasets.exceptions.DatasetNotFoundError as error:
        raise AdaptError(
            f"There is no data set {name} on the hub that can be read: {_reason(error)}",
            "Check the spelling (OWNER/NAME). For a private or gated one, ask for access and run `hf auth login`.",
        ) from error
    except (
        Exception
    ) as error:  # the library states no list; a wrong configuration is a ValueError that lists those there are
        raise AdaptError(
            f"The data set {title} cannot be loaded from the hub: {_reason(error)}",
            f"Choose one of its configurations in dataset.config (DATASET_CONFIG), or {offline}",
        ) from error
    return _of_dict(content, title)


def _of_dict(content: Mapping[str, Any], name: str) -> DataSource:
    return DataSource(name, {split: _of_dataset(rows, f"{name}, split {split}") for split, rows in content.items()})


def _of_dataset(dataset: Any, source: str) -> Split:
    """A split of a data set of the library, whose files it maps into memory, or a stream of rows."""
    import datasets

    values = {column: getattr(feature, "feature", feature) for column, feature in (dataset.features or {}).items()}
    class_names = {
        column: tuple(value.names) for column, value in values.items() if isinstance(value, datasets.ClassLabel)
    }
    if isinstance(dataset, datasets.IterableDataset):

        def streamed() -> Iterator[Table]:
            first = 0
            for batch in dataset.with_format("arrow").iter(BATCH):
                yield from_arrow(batch, source, class_names, first)
                first += batch.num_rows

        return Split(lambda _: joined(source, list(streamed())), streamed)
    mapped = SavedRows(dataset.flatten_indices(keep_in_memory=True) if dataset._indices is not None else dataset)
    names = list(dataset.column_names)
    whole = Table(
        source,
        LazyColumns(names, lambda name: Column(mapped, name, source)),
        len(dataset),
        class_names=class_names,
        key=f"datasets-{dataset._fingerprint}",
    )

    def parts() -> Iterator[Table]:
        for start in range(0, len(whole), BATCH):
            stop = min(start + BATCH, len(whole))
            part = {name: whole.columns[name][start:stop] for name in names}
            yield Table(source, part, stop - start, class_names=class_names, first=start)

    return Split(lambda _: whole, parts)


def _reason(error: BaseException) -> str:
    """What an exception says and what it says of its cause, without the Python code that it may propose."""
    texts = [str(error).split("Example of usage")[0].strip() or type(error).__name__]
    if error.__cause__ is not None and str(error.__cause__).strip():
        texts.append(str(error.__cause__).strip())
    return " ".join(dict.fromkeys(texts))
