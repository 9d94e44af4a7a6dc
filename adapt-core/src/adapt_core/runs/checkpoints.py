"""The checkpoints of a run: folders ``checkpoint-N``, N the number of steps taken, and which of them are whole.

A process can die at any instant: while a checkpoint is written, between writing it and deleting older ones, or while
one is deleted. So a checkpoint counts only once it carries a marker, ``complete.json``, which is written last and
deleted first. The marker lists every file with its size, so that a truncated copy does not count either. An engine
saves in this order::

    checkpoints.mark_incomplete(step)
    ...                                  # write the files into checkpoints.at(step)
    checkpoints.mark_complete(step)
    checkpoints.keep_newest(number)

and must not delete checkpoints by itself: it might delete the only whole one before the new one is.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from adapt_core.utils.files import read_json, sync, write_json

MARKER = "complete.json"


class Checkpoints:
    """The folder ``checkpoints/`` of a run. Only one process of a run may change it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)

    def at(self, step: int) -> Path:
        """The folder of the checkpoint after so many steps."""
        return self.path / f"checkpoint-{step}"

    def mark_incomplete(self, step: int) -> None:
        """Before writing: a checkpoint that is written once more does not count in the meantime."""
        (self.at(step) / MARKER).unlink(missing_ok=True)

    def mark_complete(self, step: int) -> None:
        """After writing, in every process: the files are forced to the disk, then the checkpoint counts."""
        folder = self.at(step)
        sizes = _sizes(folder)
        for name in sizes:
            sync(folder / name)
        write_json(folder / MARKER, {"files": sizes})

    def keep_newest(self, number: int) -> None:
        """Deletes all whole checkpoints but the newest ``number``."""
        for step in self.steps()[:-number]:
            self.mark_incomplete(step)
            shutil.rmtree(self.at(step))

    def steps(self) -> list[int]:
        """The steps of the whole checkpoints, in order."""
        return [step for step in self._all_steps() if self._is_whole(step)]

    def newest(self) -> Path | None:
        """The whole checkpoint of the most steps; None when there is none."""
        steps = self.steps()
        return self.at(steps[-1]) if steps else None

    def remove_incomplete(self) -> list[Path]:
        """Deletes what a killed process left half-written or half-deleted; returns what it deleted."""
        removed = [self.at(step) for step in self._all_steps() if not self._is_whole(step)]
        for folder in removed:
            shutil.rmtree(folder)
        return removed

    def _all_steps(self) -> list[int]:
        if not self.path.is_dir():
            return []
        found = (re.fullmatch(r"checkpoint-(\d+)", child.name) for child in self.path.iterdir() if child.is_dir())
        return sorted(int(match[1]) for match in found if match)

    def _is_whole(self, step: int) -> bool:
        marker = self.at(step) / MARKER
        # Written through a temporary file, so a marker that is there can be read.
        if not marker.is_file():
            return False
        # Other files may have come beside ours: those of a file manager, say.
        return bool(read_json(marker)["files"].items() <= _sizes(self.at(step)).items())


def _sizes(folder: Path) -> dict[str, int]:
    """The files below a folder with their sizes in bytes, the marker and its temporary file left out."""
    sizes = {}
    for root, _, names in os.walk(folder):
        for name in names:
            file = Path(root, name)
            relative = file.relative_to(folder).as_posix()
            if relative not in (MARKER, f".{MARKER}.tmp"):
                sizes[relative] = file.stat().st_size
    return dict(sorted(sizes.items()))
