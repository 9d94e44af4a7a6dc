"""The checkpoints of a run: folders ``checkpoint-N``, N the number of steps taken, and which of them are whole.

A process can die at any instant: while a checkpoint is written, between writing it and deleting older ones, or while
one is deleted. So a checkpoint counts only once it carries a marker, ``complete.json``, which is written last and
deleted first. The marker lists every file with its size, so that a truncated copy does not count either, and with its
checksum, by which a run that goes on finds what has been damaged since. An engine saves in this order::

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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.utils.files import crc32, follow_umask, read_json, sync, write_json

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
        """After writing, in every process: the files are forced to the disk, then the checkpoint counts.

        Their checksums are taken while the disk works. They cost 0.4 s of a core for each GB, measured where writing
        that with safetensors and ``torch.save`` cost 0.4 s of a core, and forcing it to the disk 0.5 s beside: a
        checkpoint takes a quarter longer.
        """
        folder = self.at(step)
        follow_umask(folder)
        sizes = _sizes(folder)
        paths = [folder / name for name in sizes]
        with ThreadPoolExecutor() as pool:
            forced, checksums = pool.map(sync, paths), pool.map(crc32, paths)
            list(forced)  # raises what went wrong
            files = {
                name: {"bytes": size, "crc32": checksum}
                for (name, size), checksum in zip(sizes.items(), checksums, strict=True)
            }
        write_json(folder / MARKER, {"files": files})

    def keep_newest(self, number: int) -> None:
        """Deletes all whole checkpoints but the newest ``number``."""
        for step in self.steps()[:-number]:
            self.mark_incomplete(step)
            shutil.rmtree(self.at(step))

    def steps(self) -> list[int]:
        """The steps of the whole checkpoints, in order; their files are there in full length, and are not read."""
        return [step for step in self._all_steps() if self._is_marked(step) and not self._damage(step)]

    def newest(self) -> Path | None:
        """The whole checkpoint of the most steps; None when there is none."""
        steps = self.steps()
        return self.at(steps[-1]) if steps else None

    def remove_unusable(self) -> dict[Path, str]:
        """Deletes what a run must not go on from, so that the newest checkpoint that is left is what was saved.

        That is what a killed process left half-written or half-deleted, and what has been damaged since. Files are read
        from the newest checkpoint backwards, up to the first whose files are all as they were written.

        Returns:
            Why, by the folder that was deleted.

        Raises:
            AdaptError: every checkpoint that was complete is damaged, each with the file; nothing is deleted then. Or a
                file may not be read.
        """
        marked = [step for step in self._all_steps() if self._is_marked(step)]
        unusable = {self.at(step): "it was not complete" for step in self._all_steps() if step not in marked}
        intact = None
        for step in reversed(marked):
            damage = self._damage(step, read=intact is None)
            if damage:
                unusable[self.at(step)] = damage
            elif intact is None:
                intact = step
        if marked and intact is None:
            lines = [f"  {self.at(step).name}: {unusable[self.at(step)]}" for step in marked]
            raise AdaptError(
                "\n".join([f"Every checkpoint in {self.path} is damaged:", *lines]),
                "Restore one of them, or start anew with --overwrite.",
            )
        for folder in unusable:
            (folder / MARKER).unlink(missing_ok=True)
            shutil.rmtree(folder)
        return unusable

    def _all_steps(self) -> list[int]:
        if not self.path.is_dir():
            return []
        found = (re.fullmatch(r"checkpoint-(\d+)", child.name) for child in self.path.iterdir() if child.is_dir())
        return sorted(int(match[1]) for match in found if match)

    def _is_marked(self, step: int) -> bool:
        return (self.at(step) / MARKER).is_file()

    def _damage(self, step: int, *, read: bool = False) -> str:
        """What is not as it was when the checkpoint was complete; "" where nothing is.

        Args:
            step: of a checkpoint with a marker.
            read: hold the contents of its files against their checksums, too.
        """
        folder = self.at(step)
        try:
            files = {name: (int(file["bytes"]), str(file["crc32"])) for name, file in _listed(folder).items()}
        except AdaptError as error:
            if isinstance(error.__cause__, OSError):  # no permission, say
                raise
            return f"{MARKER} is damaged"
        except (KeyError, TypeError, ValueError, AttributeError):  # what a flipped bit makes of its names and values
            return f"{MARKER} is damaged"
        sizes = _sizes(folder)
        for name, (size, checksum) in files.items():
            # Other files may have come beside ours: those of a file manager, say.
            if name not in sizes:
                return f"{name} is missing"
            if sizes[name] != size:
                return f"{name} is damaged: it has {sizes[name]:,} bytes, and {size:,} were written"
            if read and crc32(folder / name) != checksum:
                return f"{name} is damaged: its checksum is not the one in {MARKER}"
        return ""


def _listed(folder: Path) -> Any:
    return read_json(folder / MARKER)["files"]


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
