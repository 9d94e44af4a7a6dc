"""Starts the processes of this machine, by torchrun's elastic agent, and tells what became of them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, launch_agent

from adapt_core.errors import AdaptError, Interrupted
from adapt_core.terminal.signals import SIGNALS, TOGETHER
from adapt_dist.ending import ending_together
from adapt_dist.failures import Failures
from adapt_dist.logs import RunLogs
from adapt_dist.worker import Job, work

QUIET = ("torch.distributed.elastic", "torch.distributed.launcher", "torch.multiprocessing")
"""Loggers that tell in many lines what :func:`start` says in one."""

PATIENCE = 5
"""Seconds that processes have to end when another has failed, or a person stops the run for the second time."""


def start(job: Job, processes: int, logs: Path | None) -> Any:
    """Runs a job in processes of this machine, and returns what it returned in the main one.

    torchrun's agent starts them, watches them, ends all when one fails, and starts them anew as often as the options
    allow. Ctrl-C and SIGTERM are handed on to them once; a second one ends them.

    Args:
        job: its ``folder`` is set here.
        processes: how many.
        logs: where what they print is kept; None for nowhere.

    Raises:
        Interrupted: the run was stopped, after a checkpoint.
        KeyboardInterrupt: it was stopped outside its training steps.
        AdaptError: a process failed, with its reason.
    """
    with tempfile.TemporaryDirectory(prefix="adapt-") as scratch:
        failures = Failures(Path(scratch))
        kept = RunLogs(logs or Path(scratch, "logs"))
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            rdzv_configs={"timeout": int(job.options.start_timeout) or 1},
            local_addr="127.0.0.1",
            max_restarts=job.options.max_restarts,
            monitor_interval=0.1,
            start_method="spawn",
            logs_specs=kept,
            role="",
            log_line_prefix_template="${role_name}",  # nothing before the lines of the main process
            signals_to_handle="SIGQUIT",  # the others are handed on by us, so that a checkpoint can be written
            shutdown_timeout=PATIENCE,
        )
        with _quiet(), ending_together(PATIENCE), _handed_on(failures) as stopping:
            try:
                returned = launch_agent(config, work, [replace(job, folder=scratch)])
            except ChildFailedError as error:
                if stopping.is_set():
                    raise KeyboardInterrupt from error
                raise _reason(error, failures, kept, job.size) from error
    kind, value = returned[0]
    if kind == "result":
        return value
    if value is None:
        raise KeyboardInterrupt
    raise Interrupted(*value)


def _reason(error: ChildFailedError, failures: Failures, logs: RunLogs, size: int) -> AdaptError:
    """The error of the process that failed first."""
    attempt = max((int(path.stem.split("-")[1]) for path in failures.folder.glob("failure-*.json")), default=0)
    found = failures.read(attempt)
    of_itself = [each for each in found if not each.echo]
    kept = f"What every process printed is in {logs.newest}."
    if of_itself:
        first = of_itself[0]
        everywhere = len({(each.message, each.hint) for each in of_itself}) == 1 and len(of_itself) == size
        whose = "" if everywhere or size == 1 else f"Process {first.rank} of {size} failed: "
        return AdaptError(f"{whose}{first.message}", first.hint or kept)
    rank, failure = error.get_first_failure()
    if failure.exitcode < 0:
        name = signal.Signals(-failure.exitcode).name
        why = " (out of memory, perhaps)" if name == "SIGKILL" else ""
        return AdaptError(f"Process {rank} of {size} was ended by {name}{why}", kept)
    lost = sorted(set(range(size)) - {each.rank for each in found})
    if found and lost:
        return AdaptError(
            f"Process {lost[0]} of {size} ended without a word, and process {found[0].rank} lost it", kept
        )
    said = found[0].message if found else f"it ended with exit code {failure.exitcode}"
    return AdaptError(f"Process {rank} of {size} failed: {said}", kept)


@contextmanager
def _handed_on(failures: Failures) -> Iterator[threading.Event]:
    """Hands the first Ctrl-C or SIGTERM on to the processes; a second one raises KeyboardInterrupt.

    Gives an event that is set once there was one.
    """
    stopping = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    first: list[float] = []

    def hand_on(*_: int | FrameType | None) -> None:
        if not first:
            first.append(time.monotonic())
            stopping.set()
            failures.ask_to_stop()
            for process in multiprocessing.active_children():
                if process.pid is not None:
                    os.kill(process.pid, signal.SIGTERM)
        elif time.monotonic() - first[0] > TOGETHER:
            raise KeyboardInterrupt

    before: dict[Any, Any] = {number: signal.signal(number, hand_on) for number in SIGNALS}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    names = [name for name in logging.root.manager.loggerDict if name.startswith(QUIET)]
    before = {name: logging.getLogger(name).level for name in names}
    restore: list[Callable[[], None]] = []
    for name, level in before.items():
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        restore.append(lambda logger=logger, level=level: logger.setLevel(level))  # type: ignore[misc]
    try:
        yield
    finally:
        for undo in restore:
            undo()
