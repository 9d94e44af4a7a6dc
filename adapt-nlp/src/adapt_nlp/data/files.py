"""Reads one data file: CSV, TSV, JSON, JSON lines, Parquet, CoNLL, and plain text with one text a line.

It comes part by part, so that a large file is never in memory whole, or as one table. Text formats may be compressed
(``train.csv.gz``). Nothing is guessed from the values: a CSV cell is the text that stands in it, so ``NA``, ``null``
and ``01`` stay what they are. Nothing is written, and nothing is unpickled.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.units import listed
from adapt_nlp.data.conll import conll_parts
from adapt_nlp.data.delimited import delimited_parts
from adapt_nlp.data.json_rows import is_json_lines, json_line_parts, json_parts
from adapt_nlp.data.table import LazyColumns, Table, joined
from adapt_nlp.data.views import BATCH

if TYPE_CHECKING:
    import pyarrow as pa

OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
TEXT_FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt", ".conll", ".conllu")
FORMATS = (*TEXT_FORMATS, ".parquet")
KNOWN = ".csv, .tsv, .json, .jsonl, .parquet, .conll, .conllu or .txt; text formats may be compressed (.gz, .bz2, .xz)"


def file_format(path: Path) -> str | None:
    """The format that a file's name tells, ``".csv"`` for ``train.csv.gz``; None for a file that is not data."""
    suffix = path.suffix.lower()
    if suffix in OPENERS:
        suffix = Path(path.stem).suffix.lower()
        return suffix if suffix in TEXT_FORMATS else None
    return suffix if suffix in FORMATS else None


def read_file(path: Path) -> Table:
    """Reads a data file as one table in memory.

    Raises:
        UsageError: there is no such file, or its format is not one of those read here.
        AdaptError: the file is malformed; says at which line.
    """
    if require_format(path) == ".parquet":
        return _parquet(path)
    return joined(str(path), list(parts_of(path)))


def parts_of(path: Path) -> Iterator[Table]:
    """The rows of a data file, some at a time; at least one part, which may be empty but for its columns' names.

    Raises:
        UsageError: there is no such file, or its format is not one of those read here.
        AdaptError: the file is malformed; says at which line.
    """
    kind, source = require_format(path), str(path)
    if kind == ".parquet":
        return parquet_parts(path)
    if kind in (".csv", ".tsv"):
        return delimited_parts(source, lambda: _lines(path, newline=""), "\t" if kind == ".tsv" else None)
    if kind == ".txt":
        return _plain(source, _lines(path))
    if kind in (".conll", ".conllu"):
        return conll_parts(source, lambda: _lines(path), universal=kind == ".conllu")
    if kind == ".json" and not is_json_lines(_lines(path)):
        return json_parts(source, "".join(_lines(path)))
    return json_line_parts(source, _lines(path))


def require_format(path: Path) -> str:
    """The format of a file that must be there and be read here. Raises UsageError."""
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise UsageError(f"The data file {path} {what}.", "Check the path; it is taken from the current directory.")
    kind = file_format(path)
    if kind is None:
        raise UsageError(f"{path} is not in a format that can be read.", f"Save it as {KNOWN}.")
    return kind


def from_arrow(table: pa.Table, source: str, class_names: dict[str, tuple[str, ...]], first: int = 0) -> Table:
    """A table over an Arrow one, whose columns become Python values when they are asked for.

    Args:
        table: whose names differ.
        source: what the data are called.
        class_names: of its columns.
        first: rows of the data before it.
    """
    require_names_apart(table.column_names, source)

    def load(name: str) -> list[Any]:
        try:
            values: list[Any] = table.column(name).to_pylist()
        except UnicodeDecodeError as error:
            raise AdaptError(f"{source}: column {name!r} is not UTF-8 text: {error}.", "Write it as UTF-8.") from error
        return values

    return Table(source, LazyColumns(table.column_names, load), table.num_rows, class_names=class_names, first=first)


def require_names_apart(names: list[str], source: str) -> None:
    """Raises AdaptError where two columns of an Arrow table have one name."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise AdaptError(f"{source} has more than one column named {listed(repeated)}.", "Rename one of them.")


# ---- lines ----------------------------------------------------------------------------------------------------


def _lines(path: Path, newline: str = "\n") -> Iterator[str]:
    """The decoded lines of a file, decompressed, without a byte order mark, with what ends them.

    Args:
        path: the file.
        newline: what ends a line, as :func:`open` has it.

    Raises:
        AdaptError: the file cannot be read, is not UTF-8, or holds nothing but white space.
    """
    begun: list[str] = []
    try:
        with (
            OPENERS.get(path.suffix.lower(), open)(path, "rb") as file,
            io.TextIOWrapper(file, encoding="utf-8-sig", newline=newline) as lines,
        ):
            for line in lines:
                begun.append(line)
                if line.strip():
                    break
            else:
                raise AdaptError(f"{path} is empty.", "Check that it was written completely.")
            yield from chain(begun, lines)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise AdaptError(f"{path} cannot be read: {error}.", "Check that the file is whole and readable.") from error
    except UnicodeDecodeError as error:
        raise AdaptError(
            f"{path}, line {_undecodable(path)}: this is not UTF-8 text.", "Save the file as UTF-8."
        ) from error


def _undecodable(path: Path) -> int:
    """The first line that is not UTF-8."""
    with OPENERS.get(path.suffix.lower(), open)(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def _plain(source: str, lines: Iterator[str]) -> Iterator[Table]:
    """One text a line; blank lines at the end are none."""
    texts: list[str] = []
    blank = first = 0
    for line in lines:
        if not line.strip():
            blank += 1
            texts.append(line.rstrip("\n").rstrip("\r"))
            continue
        if len(texts) - blank >= BATCH:
            yield Table(source, {"text": texts}, len(texts), range(first + 1, first + len(texts) + 1))
            first += len(texts)
            texts = []
        blank = 0
        texts.append(line.rstrip("\n").rstrip("\r"))
    texts = texts[: len(texts) - blank]
    texts[-1:] = [text.rstrip() for text in texts[-1:]]
    yield Table(source, {"text": texts}, len(texts), range(first + 1, first + len(texts) + 1))


# ---- Parquet --------------------------------------------------------------------------------------------------


def parquet_parts(path: Path) -> Iterator[Table]:
    """The rows of a Parquet file, some at a time."""
    names, batches = parquet_batches(path)
    first = 0
    for batch in batches:
        import pyarrow as pa

        yield from_arrow(pa.Table.from_batches([batch]), str(path), names, first)
        first += batch.num_rows


def parquet_batches(path: Path) -> tuple[dict[str, tuple[str, ...]], Iterator[pa.RecordBatch]]:
    """The names of classes in a Parquet file, and its rows, some at a time; at least one batch."""
    import pyarrow.parquet as pq

    def batches() -> Iterator[pa.RecordBatch]:
        with _as_parquet(path), pq.ParquetFile(path) as file:
            empty = True
            for batch in file.iter_batches(BATCH):
                empty = False
                yield batch
            if empty:
                yield from file.schema_arrow.empty_table().to_batches() or [
                    pa.RecordBatch.from_pylist([], schema=file.schema_arrow)
                ]

    import pyarrow as pa

    with _as_parquet(path), pq.ParquetFile(path) as file:
        require_names_apart(file.schema_arrow.names, str(path))
        return _class_names(file.schema_arrow), batches()


@contextmanager
def _as_parquet(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        # The last three: the metadata is JSON of another shape than the one that datasets writes.
        raise AdaptError(f"{path} cannot be read as Parquet: {error}.", "Check that the file is whole.") from error


def _parquet(path: Path) -> Table:
    import pyarrow.parquet as pq

    with _as_parquet(path), pq.ParquetFile(path) as file:
        table = file.read()
        class_names = _class_names(table.schema)
    return from_arrow(table, str(path), class_names)


def _class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """The names of ``ClassLabel`` columns, which ``datasets`` records in the metadata of the Parquet it writes."""
    metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = metadata.get("info", {}).get("features", {})
    values = {name: each.get("feature", each) for name, each in features.items() if isinstance(each, dict)}  # of lists
    return {
        name: tuple(value["names"])
        for name, value in values.items()
        if isinstance(value, dict) and value.get("_type") == "ClassLabel"
    }
