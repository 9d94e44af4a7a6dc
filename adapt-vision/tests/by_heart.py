"""Training until a model knows its images by heart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import adapt_core

MOST = 4


def learned(config: Mapping[str, Any], folder: Path, goal: float) -> tuple[dict[str, float], Path]:
    """Trains all of a model until AP50 on the training images exceeds a goal, each time from what it has learned.

    How many steps it takes depends on the processor: sums that it rounds otherwise lead a small model elsewhere.

    Returns:
        The metrics, which fall short of the goal where ``MOST`` runs were too few, and the last run's folder.
    """
    for number in range(MOST):
        run = folder / f"run-{number}"
        adapt_core.run({**config, "output_dir": str(run)})
        found = adapt_core.evaluate_run(run, split="train")["metrics"]
        if found["ap50"] > goal:
            break
        config = {**config, "model": {**config["model"], "path": str(run / "model")}}
    return found, run
