"""What a run writes down while it trains: lines of ``metrics.jsonl``, and progress for whoever watches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_core.runs.folder import RunFolder
from adapt_core.terminal.progress import Progress


class RunLog:
    """The log of one process; only the main one writes.

    Args:
        folder: of the run.
        progress: shows what is written.
        world: the processes.
    """

    def __init__(self, folder: RunFolder, progress: Progress, world: World) -> None:
        self.folder = folder
        self.progress = progress
        self.world = world

    def start(
        self, total_steps: int, total_epochs: float | None, step: int, history: Iterable[Mapping[str, Any]]
    ) -> None:
        """Training begins.

        Args:
            total_steps: of the whole run.
            total_epochs: None for a stream.
            step: the last of an earlier attempt, 0 for none.
            history: the lines up to that step: what a killed run logged after its checkpoint happens again.
        """
        if self.world.is_main:
            self.folder.rewrite_metrics(history)
            self.progress.start(total_steps, total_epochs, step)

    def advance(self, step: int) -> None:
        """So many steps have been taken."""
        if self.world.is_main:
            self.progress.advance(step)

    def write(self, line: Mapping[str, Any], *, shown: bool = True) -> None:
        """Adds a line: ``step``, ``epoch`` where it is known, and what was measured.

        Args:
            line: with ``loss`` and ``learning_rate``, or the results of an evaluation, which begin with ``eval_``.
            shown: whether a person sees it, too.

        Raises:
            AdaptError: a loss is no finite number.
        """
        for name in ("loss", "eval_loss"):
            if not math.isfinite(line.get(name, 0.0)):
                raise AdaptError(
                    f"{name} is {line[name]} at step {line['step']}: the run cannot learn from here",
                    "Lower training.lr (LR), or use bf16 or float32 in place of fp16.",
                )
        if self.world.is_main:
            self.folder.append_metrics(line)
            if shown:
                self.progress.log(line["step"], line)
