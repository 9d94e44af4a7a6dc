"""Parquet files that hold images themselves, as the ``Image`` feature of ``datasets`` stores them: bytes and a path."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from PIL import Image

from adapt_core.errors import AdaptError
from adapt_core.utils.files import cache_folder
from adapt_vision.data.decoding import FAULTS

SHARD = re.compile(r"(?P<split>.+?)(?:-(?P<number>\d{5})-of-(?P<count>\d{5}).*)?$")
"""How ``datasets`` and the hub name the files of a split: ``train-00000-of-00002.parquet``, or ``train.parquet``."""

PLACES = (".", "data")
"""Where a data set has them, from its folder."""


def is_parquet(path: Path) -> bool:
    """Whether a file is one, by its name."""
    return path.suffix.lower() == ".parquet" and not path.name.startswith(".")


def schema_of(file: Path) -> Any:
    """The columns and their types; None where the file cannot be read, which its reader says."""
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.read_schema(file)
    except (OSError, pyarrow.ArrowException):
        return None


def image_columns(schema: Any) -> list[str]:
    """The columns that hold images: structures of ``bytes`` and ``path``."""
    from pyarrow import types

    return [
        field.name
        for field in schema or ()
        if types.is_struct(field.type) and {each.name for each in field.type} == {"bytes", "path"}
    ]


def holds_images(file: Path) -> bool:
    """Whether a Parquet file holds images, and not only their paths."""
    return bool(image_columns(schema_of(file)))


def holds_bytes(file: Path, column: str) -> bool:
    """Whether the first image of a column is there itself, and not only its path."""
    from pyarrow import parquet

    for batch in parquet.ParquetFile(file).iter_batches(1, columns=[f"{column}.bytes"]):
        return (batch.column(0)[0].as_py() or {}).get("bytes") is not None
    return False


def files_by_split(folder: Path) -> dict[str, list[Path]]:
    """The Parquet files of each split of a folder, by the data's own names, in their order; some may be missing."""
    found: dict[str, list[Path]] = {}
    for place in PLACES:
        files = sorted((folder / place).iterdir()) if (folder / place).is_dir() else []
        for each in files:
            if is_parquet(each) and (match := SHARD.match(each.stem)):
                found.setdefault(match["split"], []).append(each)
        if found:
            break
    return found


def splits_in(folder: Path) -> dict[str, list[Path]]:
    """As :func:`files_by_split`. Raises AdaptError where some files of a split are missing."""
    found = files_by_split(folder)
    for split, shards in found.items():
        numbers = [SHARD.match(each.stem) for each in shards]
        counts = {int(each["count"] or 1) for each in numbers if each}
        if counts != {len(shards)}:
            raise AdaptError(
                f"{shards[0].parent}: the split {split} has {len(shards)} Parquet files, and their names say "
                f"{' and '.join(map(str, sorted(counts)))}: {', '.join(each.name for each in shards)}.",
                "Get the missing ones, or keep those of one writing.",
            )
    return found


def are_of_one_writing(shards: Sequence[Path]) -> bool:
    """Whether the files of a split name the same number of files; they may not all be there."""
    return len({match["count"] for each in shards if (match := SHARD.match(each.stem))}) == 1


def shards_of(file: Path) -> list[Path]:
    """The files of the split that a file is of. Raises AdaptError where some are missing."""
    match = SHARD.match(file.stem)
    if match is None or match["count"] is None:
        return [file]
    siblings = [each for each in sorted(file.parent.glob("*.parquet")) if _like(each, match)]
    if len(siblings) != int(match["count"]):
        raise AdaptError(
            f"{file} is one of {int(match['count'])} Parquet files of its split, of which {len(siblings)} are there.",
            "Get the missing ones.",
        )
    return siblings


def _like(file: Path, one: re.Match[str]) -> bool:
    other = SHARD.match(file.stem)
    return other is not None and (other["split"], other["count"]) == (one["split"], one["count"])


def written(files: Sequence[Path], column: str) -> tuple[Path, list[str]]:
    """The images of a column as files in the cache, where they stay for the next run.

    They keep the names that the table has for them where these tell them apart, and are numbered by row otherwise.

    Args:
        files: of one split.
        column: of the images.

    Returns:
        The folder, and the name of each row's image in it.

    Raises:
        AdaptError: a row has no image.
    """
    looks = [(str(each.resolve()), each.stat().st_size, each.stat().st_mtime_ns) for each in files]
    key = hashlib.sha256(json.dumps([looks, column]).encode()).hexdigest()[:32]
    folder = cache_folder() / "images" / key
    names = folder / "names.json"
    if not names.is_file():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            # All processes of a run come here at once: the first one writes the images, and the others find them.
            with FileLock(folder.with_name(f"{key}.lock")):
                if not names.is_file():
                    _fill(folder, names.name, files, column)
        except (OSError, NotImplementedError) as error:  # the latter where the disk knows no locks
            raise AdaptError(
                f"The images of {files[0]} cannot be written as files into {folder}: {error}",
                "Name a folder with more room in ADAPT_CACHE.",
            ) from error
    return folder, list(json.loads(names.read_text()))


def _fill(folder: Path, names: str, files: Sequence[Path], column: str) -> None:
    """Makes a folder with the images and the list of their names; there is none that is half written."""
    made = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        (made / names).write_text(json.dumps(_write(files, column, made)))
        shutil.rmtree(folder, ignore_errors=True)  # what another version has left there
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _write(files: Sequence[Path], column: str, folder: Path) -> list[str]:
    from pyarrow import parquet

    own: list[str] = []
    for file in files:
        for batch in parquet.ParquetFile(file).iter_batches(256, columns=[f"{column}.path"]):
            own += [Path(str((each or {}).get("path") or "")).name for each in batch.column(0).to_pylist()]
    keeps = all(own) and len(set(own)) == len(own) and "names.json" not in own
    names: list[str] = []
    for file in files:
        for batch in parquet.ParquetFile(file).iter_batches(64, columns=[column]):
            for value in batch.column(0).to_pylist():
                row = len(names)
                content = (value or {}).get("bytes")
                if content is None:
                    raise AdaptError(
                        f"{file}: row {row + 1} holds no image in column {column!r}.",
                        "Write the table with its images in it (datasets' Dataset.to_parquet does), or only file_name.",
                    )
                names.append(own[row] if keeps else f"{row + 1:06d}{_suffix(content)}")
                (folder / names[-1]).write_bytes(content)
    return names


def _suffix(content: bytes) -> str:
    try:
        with Image.open(io.BytesIO(content)) as opened:
            return f".{(opened.format or 'image').lower()}"
    except FAULTS:
        return ".image"  # that it cannot be read is found, and said, with all others
