"""Files that are whole or not there at all, and JSON that every reader understands."""

from __future__ import annotations

import json
import math
import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError


def cache_folder() -> Path:
    """``$ADAPT_CACHE``, or ``adapt`` in the user's folder of caches (``$XDG_CACHE_HOME``, ``~/.cache``)."""
    if own := os.environ.get("ADAPT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adapt"


def jsonable(value: Any) -> Any:
    """The value in JSON's types: tuples and sets are lists, paths are strings, arrays and their scalars are numbers.

    A float that is not finite becomes None, since JSON has no such number. Raises TypeError for anything else.
    """
    if isinstance(value, Enum):
        return jsonable(value.value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(jsonable(key)): jsonable(inner) for key, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(jsonable(inner) for inner in value)
    if isinstance(value, (list, tuple)):
        return [jsonable(inner) for inner in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # an array or a scalar of numpy or torch
        return jsonable(value.tolist())
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON: {value!r}")


def to_json(value: Any, indent: int | None = 2) -> str:
    """The value as standard JSON."""
    return json.dumps(jsonable(value), indent=indent, ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """Replaces a JSON file in one step: a reader sees the old or the new one, never half of one."""
    write_text(path, to_json(value) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file. Raises AdaptError when the file cannot be read as one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AdaptError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise AdaptError(f"{path} cannot be read: expected a JSON object, found {type(value).__name__}.")
    return value


def require_permission(path: Path) -> None:
    """Raises AdaptError for a file that this user may not read, of which libraries say that it is not there."""
    try:
        path.open("rb").close()
    except PermissionError as error:
        raise AdaptError(f"{path} may not be read: {error.strerror}", "Have its owner allow it: chmod a+r.") from error


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The mappings in a JSON-lines file, none when it is not there.

    A last line without its line break is left out: a kill has cut it short. Raises AdaptError for any other bad line.
    """
    if not path.is_file():
        return []
    return list(_parsed_lines(path))


def _parsed_lines(path: Path) -> Iterator[dict[str, Any]]:
    *whole, _ = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(whole, 1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise AdaptError(f"{path}:{number}: not a line of JSON: {error}") from error


def append_line(path: Path, line: str) -> None:
    """Adds a line to a file that this process alone writes."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(line + "\n")


def write_text(path: Path, text: str) -> None:
    """Replaces a text file in one step, on the disk when this returns."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    sync(temporary)
    temporary.replace(path)


def crc32(path: Path) -> str:
    """The CRC-32 of a file, in eight hexadecimal digits: another one after any one flipped bit, or a run of 32.

    It is against damage and not against malice, and several times as fast as a cryptographic hash.
    """
    checksum = 0
    buffer = memoryview(bytearray(1 << 20))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            checksum = zlib.crc32(buffer[:count], checksum)
    return f"{checksum:08x}"


def follow_umask(folder: Path) -> None:
    """Gives every file below a folder the rights of a new file there; some libraries write theirs for the owner alone.

    A new one is made to see, since the umask can only be read by changing it, for all threads.
    """
    new = folder / ".new.tmp"
    new.touch()
    rights = stat.S_IMODE(new.stat().st_mode)
    new.unlink()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) != rights:
            path.chmod(rights)


def sync(path: Path) -> None:
    """Forces a written file to the disk, so that it also outlives a power failure."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
