"""Claiming the folder of a run, by one process for all."""

from __future__ import annotations

import time

from adapt_core.errors import AdaptError, UsageError
from adapt_core.interfaces import World
from adapt_core.plan.run_plan import RunPlan
from adapt_core.runs.folder import RunFolder

SEEN_WITHIN = 10.0
"""Seconds after which a file system that several machines share shows all of them what one has written."""


def claimed(plan: RunPlan, world: World | None, *, processes: int | None, overwrite: bool) -> RunFolder:
    """The run's folder: claimed in the main process, named in the others.

    Args:
        plan: of the run.
        world: the processes of which this one is one; None where it is alone, or will start the others.
        processes: how many will train; None where that is not known yet.
        overwrite: replace the run that the folder holds.

    Raises:
        UsageError: the main process cannot claim it; every process raises it. Or the folder is not shared with the
            machine of this process.
    """
    folder, refused = None, None
    if world is None or world.is_main:
        again = world is not None and world.attempt > 0 and _has_begun(plan)
        resume = plan.training.resume or again
        try:
            folder = RunFolder.create(
                plan.output_dir,
                plan.canonical(),
                resume=resume,
                overwrite=overwrite and not again,
                processes=processes,
            )
        except AdaptError as error:
            if world is None or world.size == 1:
                raise
            refused = error
    if world is None or world.size == 1:
        assert folder is not None
        return folder
    said = world.gather((refused.message, refused.hint) if refused else None)[0]
    if refused is not None:
        raise refused
    if said is not None:
        raise UsageError(*said)
    if folder is None:
        folder = RunFolder(plan.output_dir)
        _require_shared(folder, world)
    return folder


def _has_begun(plan: RunPlan) -> bool:
    folder = RunFolder(plan.output_dir)
    return folder.config.is_file() and not folder.finished


def _require_shared(folder: RunFolder, world: World) -> None:
    deadline = time.monotonic() + SEEN_WITHIN
    while not folder.config.is_file():
        if time.monotonic() > deadline:
            raise UsageError(
                f"The run folder {folder.path} is not there for process {world.rank}, though the main one has made it",
                "Choose an output_dir on a file system that all machines share.",
            )
        time.sleep(0.1)
