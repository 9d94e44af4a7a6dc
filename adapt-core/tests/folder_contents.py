"""What lies in a folder, and a made-up checkpoint in it."""

from __future__ import annotations

from pathlib import Path

from adapt_core.checkpoints import Checkpoints


def names_in(path: Path) -> list[str]:
    return sorted(child.name for child in path.iterdir())


def everything_in(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def save_checkpoint(checkpoints: Checkpoints, step: int, *, complete: bool = True) -> Path:
    folder = checkpoints.at(step)
    (folder / "part").mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_bytes(b"w" * step)
    (folder / "part" / "optimizer").write_bytes(b"o" * step)
    if complete:
        checkpoints.mark_complete(step)
    return folder
