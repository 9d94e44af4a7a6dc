"""Runs and methods on quantized bases, in one start of processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from launched import run_all
from launched_methods import MethodRun, train_all
from test_launchers import cut

from adapt_core.interfaces import World
from adapt_core.pipeline.run import run_pipeline
from adapt_core.plan.run_plan import RunPlan
from adapt_core.runs.folder import RunFolder


def run_resume_and_train(jobs: tuple[RunPlan, RunPlan, Sequence[MethodRun]], world: World) -> list[str | None]:
    """Runs a plan, loads what it saved, goes on from its first checkpoint in another folder, and trains methods.

    Args:
        jobs: a plan whose folder has been claimed; the one to go on with; the methods.
        world: the processes.

    Returns:
        What went wrong with each method, or None.
    """
    first, again, methods = jobs
    run_pipeline(first, world)
    if world.is_main:
        cut(Path(first.output_dir), Path(again.output_dir))
        claim(again, resume=True)
    world.barrier()
    run_all([again], world)
    return train_all(methods, world)


def claim(plan: RunPlan, *, resume: bool = False) -> RunPlan:
    """Makes a plan's folder ready for several processes, as the main process of a run does before it starts them."""
    processes = plan.launcher.make().size
    RunFolder.create(plan.output_dir, plan.canonical(), resume=resume, overwrite=False, processes=processes).release()
    return plan
