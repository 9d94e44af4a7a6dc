"""What is loaded is what was saved: checksums of a saved model's files, and the check against them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.utils.files import jsonable, read_json, require_permission

NOT_LOADED = ("README.md",)
"""Files that people may edit: nothing reads them back."""


def checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in a folder that is loaded again, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in NOT_LOADED)
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def require_intact(folder: Path, expected: Mapping[str, str]) -> None:
    """Compares a saved model's files with their checksums, before anything is loaded.

    Args:
        folder: of the model.
        expected: what :func:`checksums` found when it was saved. Other files are only looked at for damage.

    Raises:
        AdaptError: a file is missing, damaged or changed, or may not be read, with its name.
    """
    _require_readable(folder)
    for name, digest in expected.items():
        require_unchanged(folder / name, digest)


def require_unchanged(path: Path, digest: str) -> None:
    """Raises AdaptError for a file that is missing, or whose SHA-256 is another."""
    if not path.is_file():
        raise AdaptError(f"{path} is missing", "Restore it, or run the configuration again.")
    if sha256(path) != digest:
        raise AdaptError(
            f"{path} was changed after the run saved it: its SHA-256 is not the one in result.json",
            "Restore it, or run the configuration again.",
        )


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def choices_sha256(config: Mapping[str, Any]) -> str:
    """The SHA-256 of what a run's configuration says of how its model answers: task, method and quantization.

    The rest, paths among it, may be put right when a run or its base has been moved.
    """
    said = {section: config.get(section) for section in ("task", "method", "quantization")}
    return hashlib.sha256(json.dumps(jsonable(said), sort_keys=True).encode()).hexdigest()


def _require_readable(folder: Path) -> None:
    from safetensors import SafetensorError, safe_open

    for path in sorted(folder.glob("*.json")):
        read_json(path)
    for path in sorted(folder.glob("*.safetensors")):
        require_permission(path)
        try:
            with safe_open(path, framework="pt"):
                pass  # the header is held against the size of the file
        except (SafetensorError, OSError) as error:
            raise AdaptError(f"{path} is damaged: {error}", "Restore it, or run the configuration again.") from error
