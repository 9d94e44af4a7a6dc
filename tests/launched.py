"""Several runs in one start of processes, which takes many times as long as they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapt_core.interfaces import World
from adapt_core.pipeline import saving
from adapt_core.pipeline.run import run_pipeline
from adapt_core.plan.run_plan import RunPlan


def run_all(plans: Sequence[tuple[RunPlan, bool]], world: World) -> list[dict[str, Any]]:
    """Runs plans one after the other, in folders that have been claimed.

    Args:
        plans: each with whether what it saved is loaded again in a new process.
        world: the processes.

    Returns:
        The content of each one's ``result.json``, in the main process.
    """
    differences = saving._differences
    found = []
    for plan, reloads in plans:
        saving._differences = differences if reloads else lambda *_: {"model": 0.0}
        found.append(run_pipeline(plan, world))
    return found
