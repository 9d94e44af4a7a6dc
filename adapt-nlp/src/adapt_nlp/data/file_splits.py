"""Splits of local files: each a file, or several shards of one. They are read when they are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed
from adapt_nlp.data.files import parts_of, read_file
from adapt_nlp.data.table import LazyColumns, Table
from adapt_nlp.data.views import Chained

if TYPE_CHECKING:
    from adapt_nlp.data.cache import Cache

SHARD = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True)
class Split:
    """A split that is not read yet.

    Attributes:
        read: gives its table, through the cache where it is given one.
        parts: gives its rows, some at a time.
        size: bytes of its files, where they are known.
    """

    read: Callable[[Cache | None], Table]
    parts: Callable[[], Iterator[Table]]
    size: int = 0


def of_file(path: Path) -> Split:
    """A split in one file."""

    def read(cache: Cache | None) -> Table:
        from adapt_nlp.data.store import stored_file

        return read_file(path) if cache is None else stored_file(path, cache)

    return Split(read, lambda: parts_of(path), path.stat().st_size if path.is_file() else 0)


def of_files(split: str, paths: Sequence[Path]) -> Split:
    """A split in a file, or in shards of it."""
    if len(paths) == 1:
        return of_file(paths[0])
    source = f"{paths[0].parent / split}-*"
    shards = [of_file(path) for path in paths]

    def read(cache: Cache | None) -> Table:
        _require_shards(split, paths)
        return _end_to_end([shard.read(cache) for shard in shards], source)

    def parts() -> Iterator[Table]:
        _require_shards(split, paths)
        first, rows = None, 0
        for shard in shards:
            for part in shard.parts():
                first = first or part
                _require_like(part, first)
                yield Table(source, part.columns, len(part), class_names=first.class_names, first=rows)
                rows += len(part)

    return Split(read, parts, sum(shard.size for shard in shards))


def _require_shards(split: str, paths: Sequence[Path]) -> None:
    if not all(SHARD.search(path.name.split(".")[0]) for path in paths):
        raise AdaptError(
            f"{paths[0].parent} holds more than one file of the split {split!r}: {listed([p.name for p in paths])}.",
            "Keep one of them, or name one file in dataset.path (CUSTOM_DATASET_PATH).",
        )


def _require_like(shard: Table, first: Table) -> None:
    if set(shard.columns) != set(first.columns):
        raise AdaptError(
            f"{shard.source} has the columns {', '.join(shard.columns)}, and {first.source} has "
            f"{', '.join(first.columns)}.",
            "Give all files of a split the same columns.",
        )


def _end_to_end(shards: Sequence[Table], source: str) -> Table:
    first = shards[0]
    for shard in shards:
        _require_like(shard, first)

    def load(name: str) -> Sequence[Any]:
        for shard in shards:
            if shard.class_names.get(name) != first.class_names.get(name):
                raise AdaptError(
                    f"{shard.source} has other names for the numbers in column {name!r} than {first.source}: "
                    f"{listed(shard.class_names.get(name, ('none',)))}, and there "
                    f"{listed(first.class_names.get(name, ('none',)))}.",
                    "Write all files of a split with the same ClassLabel.",
                )
        return Chained([shard.columns[name] for shard in shards])

    key = "+".join(shard.key or "" for shard in shards) if all(shard.key for shard in shards) else None
    columns = LazyColumns(list(first.columns), load)
    return Table(source, columns, sum(map(len, shards)), class_names=first.class_names, key=key)
