"""What the tests have two processes do: several runs after one another. A module of its own, since they import it."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.interfaces import World


@dataclass(frozen=True)
class Run:
    """A run of all processes.

    Attributes:
        config: what to run, or the folder of a run to go on with.
        overrides: of it.
        signals: send the second process SIGTERM after the first checkpoint.
    """

    config: Mapping[str, Any] | str
    overrides: Sequence[str] = field(default_factory=tuple)
    signals: bool = False


@dataclass(frozen=True)
class Cut:
    """A copy of a finished run, as a kill after a step would have left it."""

    source: str
    target: str
    step: int

    def make(self) -> None:
        """Writes it."""
        shutil.copytree(self.source, self.target)
        for name in ("result.json", "report.html"):
            Path(self.target, name).unlink()
        for each in Path(self.target, "checkpoints").iterdir():
            if int(each.name.rpartition("-")[2]) > self.step:
                shutil.rmtree(each)


def work(tasks: Sequence[Run | Cut], world: World) -> list[Any]:
    """Does one after the other; of each run its result, or why it stopped, and whether it looked for unused."""
    from adapt_core.pipeline import saving
    from adapt_vision.engines.mmengine import engine

    looked: list[bool] = []

    class Noted(engine.Replicated):
        def __init__(self, *arguments: Any, find_unused: bool) -> None:
            looked.append(find_unused)
            super().__init__(*arguments, find_unused=find_unused)

    engine.Replicated = Noted  # type: ignore[misc]
    saving._differences = lambda *_: {"model": 0.0}  # no new process to load what was saved
    found: list[Any] = []
    for task in tasks:
        if isinstance(task, Cut):
            if world.is_main:
                task.make()
            world.barrier()
            continue
        found.append({"looked": looked, **_run(task, world)})
        looked = []
    return found


def _run(task: Run, world: World) -> dict[str, Any]:
    from adapt_core.api import plan_of
    from adapt_core.pipeline.run import run_pipeline
    from adapt_core.runs.claiming import claimed

    plan = plan_of(task.config, task.overrides)
    world.unused_parameters = plan.launcher.options.find_unused_parameters  # type: ignore[attr-defined]
    with claimed(plan, world, processes=world.size, overwrite=False):
        if task.signals and world.rank == 1:
            threading.Thread(target=_signal, args=[Path(plan.output_dir)], daemon=True).start()
        try:
            return run_pipeline(plan, world)
        except AdaptError as error:
            return {"ended": f"{error.message}\n{error.hint}"}


def _signal(folder: Path) -> None:
    while not list(folder.glob("checkpoints/*/complete.json")):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
