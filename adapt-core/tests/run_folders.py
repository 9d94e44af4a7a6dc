"""Run folders and checkpoints without any training, and what lies in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapt_core.runs.checkpoints import Checkpoints
from adapt_core.runs.folder import RunFolder
from adapt_core.utils.files import write_json

CONFIG: dict[str, Any] = {
    "task": {"name": "text_classification"},
    "training": {"lr": 1e-5, "num_workers": 4, "resume": False, "trackers": [], "batch_size": 16},
    "save": {"name": "state_dict"},
    "seed": 56,
    "output_dir": "runs/a",
}


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


def new(path: Path, config: dict[str, Any] = CONFIG, *, resume: bool = False, overwrite: bool = False) -> RunFolder:
    return RunFolder.create(path, config, resume=resume, overwrite=overwrite)


def finished_run(path: Path, status: str = "completed") -> Path:
    with new(path) as folder:
        write_json(folder.environment, {"versions": {}})
        write_json(folder.data, {"rows": {"train": 3}})
        write_json(folder.result, {"status": status})
        folder.model.mkdir()
        (folder.model / "weights").write_bytes(b"w")
    return path
