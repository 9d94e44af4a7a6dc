"""How torchrun's agent lets its processes end: also where one was killed, and within seconds."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.distributed.elastic.multiprocessing.api import MultiprocessContext
from torch.multiprocessing.spawn import ProcessContext

from adapt_core.utils.replacing import replaced


class Gate:
    """What processes that are done wait at, each once, until all are.

    The event that torch 2.13 has there waits in its turn for all that it wakes, and so for ever where one of them was
    killed.

    Args:
        start_method: how the processes are started.
        processes: how many there are.
    """

    def __init__(self, start_method: str, processes: int) -> None:
        self._passes = multiprocessing.get_context(start_method).Semaphore(0)
        self._processes = processes

    def set(self) -> None:
        """Lets all of them pass."""
        for _ in range(self._processes):
            self._passes.release()

    def wait(self) -> None:
        """Waits until this process may pass."""
        self._passes.acquire()


@contextmanager
def ending_together(patience: int) -> Iterator[None]:
    """Within the block, the processes that an agent starts do not outlast one that was killed.

    Args:
        patience: seconds that the others have to end after they were asked to; torch gives them 30.
    """
    start: Any = MultiprocessContext._start
    join: Any = ProcessContext._join_procs_with_timeout

    def start_with_gate(context: Any) -> None:
        context._worker_finished_event = Gate(context.start_method, context.nprocs)
        start(context)

    def join_soon(context: Any, timeout: float) -> None:
        join(context, min(timeout, patience))

    with (
        replaced(MultiprocessContext, "_start", start_with_gate),
        replaced(ProcessContext, "_join_procs_with_timeout", join_soon),
    ):
        yield
