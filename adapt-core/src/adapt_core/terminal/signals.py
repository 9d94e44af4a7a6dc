"""Ctrl-C and SIGTERM: the first asks the run to stop at the next good moment, the second stops it at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

TOGETHER = 2.0
"""Seconds within which signals to one of several processes are the same request."""


@dataclass
class StopRequest:
    """Whether a signal has asked the run to stop.

    Attributes:
        signal: its name, None as long as none came.
    """

    signal: str | None = None

    def comes_within(self, seconds: float) -> bool:
        """Whether a signal has come, or comes within the given time."""
        deadline = time.monotonic() + seconds
        while self.signal is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.signal is not None


@contextmanager
def stop_on_signal(request: StopRequest, *, several: bool = False) -> Iterator[None]:
    """Notes the first signal in the request for as long as the block lasts; a second one acts as it did before.

    Outside the main thread, where Python delivers no signals, it does nothing.

    Args:
        request: where it is noted.
        several: this process is one of several. A scheduler signals all of them, and the process that has started them
            hands on what it gets, so that one request may come twice within :data:`TOGETHER`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    first: list[float] = []

    def note(number: int, _: FrameType | None) -> None:
        if several:
            if request.signal is None:
                first.append(time.monotonic())
            elif time.monotonic() - first[0] < TOGETHER:
                return
            else:
                for each, handler in before.items():
                    signal.signal(each, handler)
                os.kill(os.getpid(), number)
            request.signal = signal.Signals(number).name
            return
        request.signal = signal.Signals(number).name
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Has SIGTERM raise KeyboardInterrupt, as Ctrl-C does, for as long as the block lasts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def shield_worker() -> None:
    """Has a process that loads data ignore Ctrl-C and the first SIGTERM: the run gets them too, and ends its workers.

    A terminal and many schedulers signal every process of a group. Without its workers, a run could not take the step
    after which it stops. A second SIGTERM ends the worker, which the run's own shutdown needs.
    """

    def once(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, once)
