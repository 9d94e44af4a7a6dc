"""Where the time of a run went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapt_core.terminal.progress import Progress

STAGES = ("load", "prepare", "train", "evaluate", "save", "verify")


class Stopwatch:
    """Adds up the seconds of each stage, and tells the user which one has begun."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def __call__(self, stage: str, message: str) -> Iterator[None]:
        """Counts the time of the block as a stage's, less what is counted for other stages meanwhile."""
        before = sum(self.seconds.values())
        begin = time.perf_counter()
        with self.progress.stage(message):
            try:
                yield
            finally:
                counted = sum(self.seconds.values()) - before
                self.seconds[stage] += time.perf_counter() - begin - counted

    def add(self, **seconds: float) -> None:
        """Counts seconds that were measured elsewhere, by stage."""
        for stage, value in seconds.items():
            self.seconds[stage] += value
