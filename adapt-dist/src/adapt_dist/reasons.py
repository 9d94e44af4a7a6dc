"""Why a process that somebody else has started ends: left for the other processes, and for torchrun."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import torch.distributed as dist
from torch.distributed.distributed_c10d import Store
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from adapt_core.errors import AdaptError, Interrupted
from adapt_dist.failures import is_echo

PATIENCE = 5.0
"""Seconds that the store has to answer: over a cut link it would not for many minutes."""


def leave_for_torchrun(error: BaseException) -> None:
    """Writes an error where torchrun's summary of what failed first takes it from; nowhere without torchrun."""
    get_error_handler().record_exception(error)


class Reasons:
    """The reason of the process that failed first, in the store in which all have met.

    Args:
        store: of these processes.
        rank: of this one.
        size: how many there are.
        attempt: how often they have been started anew.
    """

    def __init__(self, store: Store, rank: int, size: int, attempt: int) -> None:
        self._store = store
        self._rank = rank
        self._size = size
        self._key = f"adapt/failed/{attempt}"

    def leave(self, error: BaseException) -> None:
        """Leaves why this process ends, unless it was stopped or has only lost another one."""
        if isinstance(error, KeyboardInterrupt | Interrupted) or is_echo(error):
            return
        leave_for_torchrun(error)
        message = error.message if isinstance(error, AdaptError) else f"{type(error).__name__}: {error}"
        hint = error.hint if isinstance(error, AdaptError) else ""
        said = json.dumps((self._rank, message, hint))
        _answered(lambda: self._store.compare_set(self._key, "", said))

    def of_another(self) -> AdaptError | None:
        """The reason that another process has left; None where none has."""
        said = _answered(lambda: self._store.get(self._key) if self._store.check([self._key]) else None)
        rank, message, hint = json.loads(said) if said else (self._rank, "", "")
        return None if rank == self._rank else AdaptError(f"Process {rank} of {self._size} failed: {message}", hint)


def _answered(ask: Callable[[], bytes | None]) -> bytes | None:
    """What the store answers; None where it went with the process that kept it, or cannot be reached."""
    found: list[bytes | None] = []

    def wait() -> None:
        try:
            found.append(ask())
        except dist.DistError:
            found.append(None)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return found[0] if found else None
