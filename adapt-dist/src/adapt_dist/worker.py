"""What runs in every process that a launcher starts."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.multiprocessing

from adapt_core.errors import AdaptError, Interrupted
from adapt_core.terminal.signals import sigterm_interrupts
from adapt_dist.failures import Failures
from adapt_dist.joining import joined
from adapt_dist.options import LaunchOptions
from adapt_dist.place import Place, found_place


@dataclass(frozen=True)
class Job:
    """What the processes are to do.

    Attributes:
        function: called with the plan and the world.
        plan: of the run.
        options: of the launcher.
        size: how many processes there must be.
        settings: further arguments of the world.
        folder: where failures are left.
    """

    function: Callable[[Any, Any], Any]
    plan: Any
    options: LaunchOptions
    size: int
    settings: Mapping[str, Any]
    folder: str


def work(job: Job) -> tuple[str, Any]:
    """Calls the function in this process, one of several.

    Returns:
        ``("result", what the function returned)`` in the main process; ``("interrupted", message and hint)`` where the
        run was asked to stop and could say so, with None in place of these where it could not.

    Raises:
        BaseException: what the function raised, after it was left for the process that has started this one.
    """
    # Ctrl-C reaches the process that has started this one alone: it hands the request on.
    os.setsid()
    # That process holds the claim on the run's folder. Where it dies, nothing may be written any more.
    torch.multiprocessing._prctl_pr_set_pdeathsig(signal.SIGKILL)  # type: ignore[attr-defined]
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:  # it has died before, while this one was importing
        os.kill(os.getpid(), signal.SIGKILL)
    place = found_place()
    assert place is not None
    failures = Failures(Path(job.folder))
    if failures.stopping:
        return ("interrupted", None)
    try:
        with sigterm_interrupts(), joined(place, job.options, job.size, job.settings) as world:
            if world.is_main:
                print(world.text, file=sys.stderr, flush=True)  # noqa: T201  # for the person who waits
            result = job.function(job.plan, world)
            return ("result", result if world.is_main else None)
    except Interrupted as stopped:
        return ("interrupted", (stopped.message, stopped.hint))
    except KeyboardInterrupt:
        return ("interrupted", None)
    # Broad: whatever ends a process is left for the one that started it to tell; raised again below.
    except BaseException as error:
        _leave(failures, place, error)
        raise


def _leave(failures: Failures, place: Place, error: BaseException) -> None:
    failures.write(place.rank, place.attempt, error)
    if place.rank != 0 and not isinstance(error, AdaptError):
        traceback.print_exception(error)  # into its log
        sys.stderr.flush()
