"""Lists the images of a table: a path and a label in each row."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.spelling import nearest
from adapt_core.utils.units import listed
from adapt_vision.data.listing import Listing
from adapt_vision.data.options import ImageDataOptions

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
KNOWN = ".csv, .tsv, .json, .jsonl or .parquet"
IMAGE_NAMES = ("image", "file_name", "filename", "image_path", "path", "file", "filepath", "image_file", "img")
LABEL_NAMES = ("label", "labels", "class", "class_name", "target", "category")
"""Usual names of columns, in any case; the first that is there is taken."""


def is_table(path: Path) -> bool:
    """Whether a file is one, by its name."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_table(path: Path) -> dict[str, list[Any]]:
    """The columns of a table, in the order of the file. What stands in a CSV file is text; nothing is guessed.

    Raises:
        UsageError: there is no such file, or it is none that is read here.
        AdaptError: it cannot be read.
    """
    import pandas

    if not path.is_file():
        raise UsageError(f"There is no file {path}.", "Check the path; it is taken from the current directory.")
    if not is_table(path):
        raise UsageError(f"{path} is no table that can be read.", f"Save it as {KNOWN}.")
    kind = path.suffix.lower()
    try:
        if kind in (".csv", ".tsv"):
            frame = pandas.DataFrame(_read_delimited(path, "\t" if kind == ".tsv" else ","), dtype=object)
        elif kind == ".parquet":
            frame = pandas.read_parquet(path)
        else:
            frame = pandas.read_json(path, lines=kind != ".json", dtype=False, convert_dates=False)
    except AdaptError:
        raise
    # Broad: pandas and the readers below it state no list of what a damaged file makes them raise.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise AdaptError(f"{path} cannot be read: {reason}", "Check that the file is whole, and in UTF-8.") from error
    if not len(frame):
        raise AdaptError(f"{path} has no rows.", "Check that it was written completely.")
    return {str(name): frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame.columns}


def _read_delimited(path: Path, delimiter: str) -> dict[str, list[str]]:
    """The columns of a text file. pandas would take the first column for an index where rows have a cell too many."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=delimiter, strict=True)
        header = next(lines, [])
        columns: dict[str, list[str]] = {name: [] for name in header}
        if len(columns) < len(header):
            raise AdaptError(f"{path} names a column twice: {', '.join(header)}", "Give each a name of its own.")
        for cells in filter(None, lines):
            if len(cells) != len(header):
                raise AdaptError(
                    f"{path}, line {lines.line_num}: {len(cells)} cells, where the header has {len(header)}",
                    "Quote a cell that holds a separator.",
                )
            for name, value in zip(header, cells, strict=True):
                columns[name].append(value)
    return columns


def listing_of(path: Path, options: ImageDataOptions, folder: Path | None = None) -> Listing:
    """The images of a table.

    Args:
        path: the table.
        options: name the columns, and the folder that paths start from.
        folder: that folder where the options name none; None for that of the table.

    Raises:
        UsageError: a column is not there.
        AdaptError: the table cannot be read, a cell is empty, or a path leads to no file.
    """
    columns = read_table(path)
    image = column(columns, options.image_column, IMAGE_NAMES, "image", path)
    label = column(columns, options.label_column, LABEL_NAMES, "label", path)
    labels = [_label(value) for value in columns[label]]
    if missing := [row for row, name in enumerate(labels) if name is None]:
        raise AdaptError(
            f"{path}: the label is missing in column {label!r} at {place(path, missing)} "
            f"({len(missing)} of {len(labels)} rows).",
            "Give these rows a label or remove them.",
        )
    root = Path(options.image_root) if options.image_root else folder or path.parent
    images = paths_of(columns, image, path, root)
    return Listing(str(path), images, images, [str(name) for name in labels])


def paths_of(columns: dict[str, list[Any]], image: str, path: Path, root: Path) -> list[str]:
    """The absolute paths in a column, each of a file that is there.

    Raises:
        AdaptError: a cell is empty or no text, or leads to no file.
    """
    values = columns[image]
    if wrong := [row for row, value in enumerate(values) if not isinstance(value, str) or not value.strip()]:
        raise AdaptError(
            f"{path}: column {image!r} holds no path at {place(path, wrong)} ({len(wrong)} of {len(values)} rows).",
            "Write the path of an image file, or remove these rows.",
        )
    paths = [os.path.abspath(root / value) for value in values]  # noqa: PTH100  # Path.absolute() keeps "..".
    for rows, what in (
        ([row for row, each in enumerate(paths) if Path(each).is_dir()], "are folders, not files"),
        ([row for row, each in enumerate(paths) if not os.path.exists(each)], "are not there"),  # noqa: PTH110
    ):
        if rows:
            raise AdaptError(
                f"{path}: {len(rows)} of {len(paths)} images {what}: {listed([paths[row] for row in rows])}; "
                f"at {place(path, rows)}.",
                "Paths start from the folder of the table; name another in dataset.image_root.",
            )
    return paths


def column(columns: dict[str, Any], named: str | None, usual: Sequence[str], what: str, path: Path | str) -> str:
    """The column that is named, or the one with a usual name.

    Raises:
        UsageError: it is not there.
    """
    there_are = f"The columns there are: {', '.join(columns) or 'none'}."
    if named is not None:
        if named not in columns:
            key = f"dataset.{what}_column"
            raise UsageError(f"{path} has no column {named!r}, which {key} names{nearest(named, columns)}.", there_are)
        return named
    present = {name.lower(): name for name in columns}
    found = [present[name] for name in usual if name in present]
    if not found:
        raise UsageError(f"{path}: no column holds the {what}.", f"Name it in dataset.{what}_column. {there_are}")
    return found[0]


def place(path: Path, rows: Sequence[int]) -> str:
    """Where rows (0-based) stand: by line in CSV and JSON lines, else by number."""
    suffix = path.suffix.lower()
    first = {".csv": 2, ".tsv": 2, ".jsonl": 1, ".ndjson": 1}.get(suffix)
    word = "row" if first is None else "line"
    return f"{word}{'s' if len(rows) > 1 else ''} {listed([row + (first or 1) for row in rows[:6]], len(rows))}"


def _label(value: Any) -> str | None:
    """The name of a class; None where there is none. A whole number is one, however pandas keeps it."""
    if value is None or not str(value).strip():
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
