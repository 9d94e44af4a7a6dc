"""Rows of files in the cache, as Arrow: read once, and mapped into memory from then on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt_nlp.data.cache import Cache, Entry, hash_of_file, key_of
from adapt_nlp.data.files import parquet_batches, parts_of, require_format
from adapt_nlp.data.table import LazyColumns, Table
from adapt_nlp.data.views import ArrowFiles, Column

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = "rows.arrow"
LINE = "line"
"""The column of line numbers. The others are called by their places: names of columns may be anything."""

PLAIN = (".csv", ".tsv", ".txt")
"""Formats whose cells are all text. Those of others are kept as JSON, which holds whatever stood in the file."""


def stored_file(path: Path, cache: Cache) -> Table:
    """The rows of a data file, by its content and its format.

    Raises:
        UsageError: there is no such file, or its format is not one of those read here.
        AdaptError: the file is malformed, with the line; or the cache cannot be written.
    """
    kind = require_format(path)
    key = key_of("rows", kind, hash_of_file(path))
    if kind == ".parquet":
        return _opened(cache.entry(key, lambda folder: _copy_parquet(path, folder)), str(path))
    return _opened(cache.entry(key, lambda folder: _write(folder, lambda: parts_of(path), kind in PLAIN)), str(path))


def stored_parts(key: str, parts: Callable[[], Iterator[Table]], cache: Cache, source: str) -> Table:
    """Rows that are made of others.

    Args:
        key: of what they are made; see :func:`adapt_nlp.data.cache.key_of`.
        parts: gives them, from the first; called again where a later part has columns that the first has not.
        cache: where they are kept.
        source: what they are called, for messages.
    """
    return _opened(cache.entry(key, lambda folder: _write(folder, parts, plain=False)), source)


def _opened(entry: Entry, source: str) -> Table:
    about = entry.about
    files = ArrowFiles(entry.files)
    places = {name: place for place, name in enumerate(about["names"])}

    def load(name: str) -> Column:
        return Column(files, f"{places[name]}", source, is_json=about["json"])

    return Table(
        source,
        LazyColumns(about["names"], load),
        about["rows"],
        Column(files, LINE) if about["lines"] else None,
        {name: tuple(names) for name, names in about["class_names"].items()},
        key=entry.key,
    )


def _write(folder: Path, parts: Callable[[], Iterator[Table]], plain: bool) -> dict[str, Any]:
    """Writes parts of a table; once more where a later one has columns that the first has not."""
    names, about = _written(folder, parts(), None, plain)
    return about or _written(folder, parts(), names, plain)[1] or {}


def _written(
    folder: Path, parts: Iterable[Table], known: Sequence[str] | None, plain: bool
) -> tuple[list[str], dict[str, Any] | None]:
    """The names of all columns, and what is to be said of the file; that is None where it lacks some of them."""
    import pyarrow as pa

    names, rows, whole, lines = list(known or ()), 0, True, False
    writer: Any = None
    for part in parts:
        if writer is None:
            names, lines = names or list(part.columns), part.lines is not None
            schema = pa.schema([*((str(place), pa.string()) for place in range(len(names))), (LINE, pa.int64())])
            writer = pa.ipc.new_stream(str(folder / ROWS), schema)
        elif new := [name for name in part.columns if name not in names]:
            whole = False
            names += new
        if whole:
            cells = [_cells(part.columns.get(name), len(part), plain) for name in names]
            writer.write_batch(pa.record_batch([*cells, pa.array(part.lines or [0] * len(part), pa.int64())], schema))
            rows += len(part)
    writer.close()
    about = {"files": [ROWS], "names": names, "rows": rows, "lines": lines, "json": not plain, "class_names": {}}
    return names, about if whole else None


def _cells(values: Sequence[Any] | None, count: int, plain: bool) -> pa.Array:
    """A column's cells as text; those of JSON that hold half a surrogate pair, which is no UTF-8, are escaped."""
    import pyarrow as pa

    if values is None:
        return pa.nulls(count, pa.string())
    if plain:
        return pa.array(values, pa.string())
    texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([None if value is None else json.dumps(value) for value in values], pa.string())


def _copy_parquet(path: Path, folder: Path) -> dict[str, Any]:
    """Writes the rows of a Parquet file in its own types."""
    import pyarrow as pa

    class_names, batches = parquet_batches(path)
    writer: Any = None
    rows, names = 0, list[str]()
    for batch in batches:
        if writer is None:
            names = batch.schema.names
            schema = pa.schema([(str(place), kind) for place, kind in enumerate(batch.schema.types)])
            writer = pa.ipc.new_stream(str(folder / ROWS), schema)
        writer.write_batch(pa.record_batch(batch.columns, schema))
        rows += batch.num_rows
    writer.close()
    return {
        "files": [ROWS],
        "names": names,
        "rows": rows,
        "lines": False,
        "json": False,
        "class_names": {name: list(each) for name, each in class_names.items()},
    }
