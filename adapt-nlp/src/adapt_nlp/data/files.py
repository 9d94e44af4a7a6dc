"""Reads one data file into a table: CSV, TSV, JSON, JSON lines, Parquet, CoNLL, and plain text with one text a line.

Text formats may be compressed (``train.csv.gz``). Nothing is guessed from the values: a CSV cell is the text that
stands in it, so ``NA``, ``null`` and ``01`` stay what they are. Nothing is written, and nothing is unpickled.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.units import listed
from adapt_nlp.data.conll import read_conll
from adapt_nlp.data.table import LazyColumns, Table

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
    """Reads a data file.

    Raises:
        UsageError: there is no such file, or its format is not one of those read here.
        AdaptError: the file is malformed; says at which line.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise UsageError(f"The data file {path} {what}.", "Check the path; it is taken from the current directory.")
    kind = file_format(path)
    if kind is None:
        raise UsageError(f"{path} is not in a format that can be read.", f"Save it as {KNOWN}.")
    if kind == ".parquet":
        return _parquet(path)
    text = _text(path)
    if not text.strip():
        raise AdaptError(f"{path} is empty.", "Check that it was written completely.")
    if kind in (".csv", ".tsv"):
        return _delimited(path, text, "\t" if kind == ".tsv" else _separator(text))
    if kind == ".txt":
        return _plain(path, text)
    if kind in (".conll", ".conllu"):
        return read_conll(str(path), text.split("\n"), universal=kind == ".conllu")
    if kind == ".json" and not _is_json_lines(text):
        return _json(path, text)
    return _json_lines(path, text)


def from_arrow(table: pa.Table, source: str, class_names: dict[str, tuple[str, ...]]) -> Table:
    """A table over an Arrow one, whose columns become Python values when they are asked for."""
    repeated = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if repeated:
        raise AdaptError(f"{source} has more than one column named {listed(repeated)}.", "Rename one of them.")

    def load(name: str) -> list[Any]:
        try:
            values: list[Any] = table.column(name).to_pylist()
        except UnicodeDecodeError as error:
            raise AdaptError(f"{source}: column {name!r} is not UTF-8 text: {error}.", "Write it as UTF-8.") from error
        return values

    return Table(source, LazyColumns(table.column_names, load), table.num_rows, class_names=class_names)


def _text(path: Path) -> str:
    """The decoded text of a file, decompressed, without a byte order mark."""
    try:
        with OPENERS.get(path.suffix.lower(), open)(path, "rb") as file:
            data: bytes = file.read()
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise AdaptError(f"{path} cannot be read: {error}.", "Check that the file is whole and readable.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise AdaptError(f"{path}, line {line}: this is not UTF-8 text.", "Save the file as UTF-8.") from error


# ---- CSV and TSV ----------------------------------------------------------------------------------------------


def _separator(text: str) -> str:
    """What separates the cells of a CSV: a comma, unless its header has none but has semicolons or tabs."""
    header = text.lstrip("\r\n").split("\n", 1)[0]
    return next((mark for mark in ",;\t" if mark in header), ",")


def _delimited(path: Path, text: str, separator: str) -> Table:
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    begin = 1
    with _cells_of_any_size(len(text)):
        try:
            for cells in reader:
                if cells:  # a blank line gives none
                    rows.append(cells)
                    lines.append(begin)
                begin = reader.line_num + 1
        except csv.Error as error:
            raise AdaptError(
                f"{path}, line {begin}: malformed row: {error}.",
                "A cell that holds the separator, a quote or a line break stands in double quotes, and a quote "
                'inside it is written twice: "say ""hi""".',
            ) from error
    header = [name.strip() or f"column {number}" for number, name in enumerate(rows.pop(0), start=1)]
    lines.pop(0)
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise AdaptError(
            f"{path}: the header has more than one column named {listed(repeated)}.", "Rename one of them."
        )
    uneven = [row for row, cells in enumerate(rows) if len(cells) != len(header)]
    if uneven:
        first = uneven[0]
        others = f" ({len(uneven)} such rows in all)" if len(uneven) > 1 else ""
        raise AdaptError(
            f"{path}, line {lines[first]}: {len(rows[first])} cells, and the header has {len(header)}{others}.",
            f"Every row needs {len(header)} cells, separated by {separator!r}; put a cell that holds the separator in "
            "double quotes.",
        )
    columns = zip(*rows, strict=True) if rows else ((),) * len(header)
    return Table(str(path), dict(zip(header, columns, strict=True)), len(rows), lines)


@contextmanager
def _cells_of_any_size(size: int) -> Iterator[None]:
    """Lifts the csv module's limit on the length of a cell, which is the whole process's, while a file is read."""
    before = csv.field_size_limit(max(1, min(size, 2**31 - 1)))
    try:
        yield
    finally:
        csv.field_size_limit(before)


# ---- text and JSON --------------------------------------------------------------------------------------------


def _plain(path: Path, text: str) -> Table:
    texts = [line.rstrip("\r") for line in text.rstrip().split("\n")]
    return Table(str(path), {"text": texts}, len(texts), range(1, len(texts) + 1))


def _is_json_lines(text: str) -> bool:
    """Whether a ``.json`` file is JSON lines: its first line is an object by itself, and more follows."""
    first, _, rest = text.strip().partition("\n")
    try:
        return bool(rest) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _json_lines(path: Path, text: str) -> Table:
    records: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        record = _parse(line, f"{path}, line {number}")
        if not isinstance(record, dict):
            raise AdaptError(
                f"{path}, line {number}: a JSON object is needed, and this is {_kind(record)}.",
                'Write one row a line: {"text": "…", "label": "…"}.',
            )
        records.append(record)
        lines.append(number)
    return Table(str(path), _by_column(records), len(records), lines)


def _json(path: Path, text: str) -> Table:
    """A list of objects, an object with one such list (``{"data": […]}``), or an object of columns."""
    content = _parse(text, str(path))
    if isinstance(content, dict):
        tables = [value for value in content.values() if _is_records(value)]
        columns = {key: value for key, value in content.items() if isinstance(value, list)}
        if len(tables) == 1:
            content = tables[0]
        elif not tables and columns and len(columns) == len(content):
            sizes = {key: len(value) for key, value in columns.items()}
            if len(set(sizes.values())) > 1:
                lengths = listed([f"{key}: {size}" for key, size in sizes.items()])
                raise AdaptError(
                    f"{path}: its columns differ in length ({lengths}).", "Give all of them equally many values."
                )
            return Table(str(path), columns, next(iter(sizes.values())))
    if not isinstance(content, list):
        raise AdaptError(f"{path} does not hold rows.", 'Write a list of objects: [{"text": "…", "label": "…"}, …].')
    wrong = next((row for row, record in enumerate(content) if not isinstance(record, dict)), None)
    if wrong is not None:
        raise AdaptError(
            f"{path}, row {wrong + 1}: a JSON object is needed, and this is {_kind(content[wrong])}.",
            'Write a list of objects: [{"text": "…", "label": "…"}, …].',
        )
    return Table(str(path), _by_column(content), len(content))


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}" if "\n" in text else f"column {error.colno}"
        raise AdaptError(f"{place}: malformed JSON at {where}: {error.msg}.", "Correct the file.") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; nesting without end
        raise AdaptError(f"{place}: JSON that cannot be read: {error}.", "Correct the file.") from error


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(record, dict) for record in value)


def _by_column(records: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns, in the order in which their keys first appear; a key that a row lacks is None there."""
    names = dict.fromkeys(key for record in records for key in record)
    return {name: [record.get(name) for record in records] for name in names}


def _kind(value: Any) -> str:
    names = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(value), type(value).__name__)


# ---- Parquet --------------------------------------------------------------------------------------------------


def _parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
        class_names = _class_names(table)
    except (pa.ArrowException, OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        # The last three: the metadata is JSON of another shape than the one that datasets writes.
        raise AdaptError(f"{path} cannot be read as Parquet: {error}.", "Check that the file is whole.") from error
    return from_arrow(table, str(path), class_names)


def _class_names(table: pa.Table) -> dict[str, tuple[str, ...]]:
    """The names of ``ClassLabel`` columns, which ``datasets`` records in the metadata of the Parquet it writes."""
    metadata = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    features = metadata.get("info", {}).get("features", {})
    values = {name: each.get("feature", each) for name, each in features.items() if isinstance(each, dict)}  # of lists
    return {
        name: tuple(value["names"])
        for name, value in values.items()
        if isinstance(value, dict) and value.get("_type") == "ClassLabel"
    }
