"""The folder in which prepared data is kept, and found again by what it was made of."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.utils.files import cache_folder, crc32

FORMAT = 1
"""Raised when what is written changes, so that older entries are not taken for newer ones."""

MANIFEST = "manifest.json"
"""Names the files of an entry, with their sizes and checksums, and says what the entry holds. Written last."""


@dataclass(frozen=True)
class Entry:
    """Something in the cache, whole.

    Attributes:
        folder: with its files.
        about: what was said of it when it was made.
        found: whether it was there already.
    """

    folder: Path
    about: Mapping[str, Any]
    found: bool

    @property
    def files(self) -> list[Path]:
        """Its Arrow files, in the order of their rows."""
        return [self.folder / name for name in self.about["files"]]

    @property
    def key(self) -> str:
        """What it was made of, as its name says."""
        return self.folder.name


class Cache:
    """A folder of entries, which any number of runs may use at a time.

    An entry is made in a folder of its own, which is given its name when all is written: there is none that is half
    written. When it is found, its files must have the sizes and the checksums that its manifest names; otherwise it is
    made anew.

    Args:
        folder: where entries lie; :func:`cache_folder` by default.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder) if folder is not None else cache_folder()

    def entry(self, key: str, make: Callable[[Path], Mapping[str, Any]]) -> Entry:
        """What a key stands for: found, or made.

        Args:
            key: see :func:`key_of`.
            make: writes the entry's files into a folder, and gives what is to be said of it; ``files`` in it names them
                in the order of their rows.

        Raises:
            AdaptError: the folder cannot be written to.
        """
        place = self.folder / key
        with self._lock(key):
            about = _whole(place)
            if about is not None:
                return Entry(place, about, found=True)
            with self._new(key) as fresh:
                made = dict(make(fresh))
                written = {name: _facts(fresh / name) for name in made["files"]}
                (fresh / MANIFEST).write_text(json.dumps({**made, "files": written}), encoding="utf-8")
                shutil.rmtree(place, ignore_errors=True)  # what is damaged
                fresh.rename(place)
        return Entry(place, {**made, "files": written}, found=False)

    @contextmanager
    def _new(self, key: str) -> Iterator[Path]:
        """An empty folder beside the entries; gone afterwards, unless it has another name by then."""
        fresh = self.folder / f".{key}.{os.getpid()}"
        try:
            fresh.mkdir()
            yield fresh
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        """Holds other processes off an entry: the first one makes it, and the others find it."""
        from filelock import FileLock

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / f"{key}.lock")
            lock.acquire()
        except (OSError, NotImplementedError) as error:
            raise self._unwritable(error) from error
        try:
            # No other process makes this entry now: what is half made is of one that was killed.
            for left in self.folder.glob(f".{key}.*"):
                shutil.rmtree(left, ignore_errors=True)
            yield
        finally:
            lock.release()

    def _unwritable(self, error: Exception) -> AdaptError:
        return AdaptError(
            f"The cache of prepared data in {self.folder} cannot be written: {error}.",
            "Free some of the disk, or name another folder in dataset.cache_dir or the environment variable "
            "ADAPT_CACHE.",
        )


def key_of(kind: str, *parts: Any) -> str:
    """The name of an entry: its kind, and a hash of all that it is made of, as JSON."""
    text = json.dumps([FORMAT, versions(), kind, *parts], sort_keys=True, default=str)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


@cache
def versions() -> Mapping[str, str]:
    """Versions of what makes entries."""
    from importlib.metadata import version

    return {name: version(name) for name in ("adapt-nlp", "datasets", "tokenizers", "transformers", "trl")}


def hash_of_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _facts(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "crc32": crc32(path)}


def _whole(place: Path) -> dict[str, Any] | None:
    """What the manifest of an entry says, where all of its files are as it says; None where they are not."""
    try:
        about: dict[str, Any] = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        for name, facts in about["files"].items():
            if (place / name).stat().st_size != facts["size"] or crc32(place / name) != facts["crc32"]:
                return None
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return about
