"""Runs that are killed, each at a moment of its own, and resumed: they end as those that were not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import adapt_core

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")
pytest.importorskip("mmpose", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

STEPS = 6


def _steps_logged(folder: Path) -> int:
    file = folder / "metrics.jsonl"
    return sum('"loss"' in line for line in file.read_text().splitlines()) if file.exists() else 0


def _complete(folder: Path) -> int:
    return len(list(folder.glob("checkpoints/*/complete.json")))


def _begun(folder: Path) -> int:
    return len(list(folder.glob("checkpoints/*/*.pt")))


MOMENTS: dict[str, tuple[str, Callable[[Path], bool]]] = {
    "boxes, steps after a checkpoint": ("cells", lambda folder: _complete(folder) >= 1 and _steps_logged(folder) >= 3),
    "masks, right after a checkpoint": ("masks", lambda folder: _complete(folder) >= 2),
    "poses, while a checkpoint is written": ("poses", lambda folder: _complete(folder) >= 1 and _begun(folder) >= 3),
}


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_resumes_to_the_same_weights(moment: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """With random augmentation. The last batch of an epoch is a short one, and checkpoints come within epochs."""
    task, reached = MOMENTS[moment]
    config: dict[str, Any] = request.getfixturevalue(task)
    made = {
        **config,
        "training": {
            **config["training"], "max_steps": STEPS, "batch_size": 3, "interval": "steps", "interval_steps": 2,
            "checkpoints": 9, "do_eval": False,
        },
        "task": {**config["task"], "augmentation": "standard"},
    }  # fmt: skip
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    (tmp_path / "config.json").write_text(json.dumps({**made, "output_dir": str(killed)}))
    process = subprocess.Popen(
        [sys.executable, "-m", "adapt_core.cli", "run", str(tmp_path / "config.json")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    end = time.monotonic() + 600
    try:
        while not reached(killed):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.002)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (killed / "result.json").exists() and not (killed / "model").exists(), "it was killed too late"
    adapt_core.run({**made, "output_dir": str(killed)}, resume=True)
    adapt_core.run({**made, "output_dir": str(whole)})
    one, other = (torch.load(each / "model" / "model.pth", weights_only=True)["state_dict"] for each in (whole, killed))
    assert one.keys() == other.keys() and all(torch.equal(each, other[name]) for name, each in one.items())
    assert (whole / "metrics.jsonl").read_text() == (killed / "metrics.jsonl").read_text()
