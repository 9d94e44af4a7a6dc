"""One process: this one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from adapt_core.errors import UsageError
from adapt_core.interfaces import Launcher, World
from adapt_core.plan.run_plan import RunPlan

T = TypeVar("T")

SIZES = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
"""Where torchrun, ``accelerate launch`` and ``srun`` say how many processes they have started."""


class Local(Launcher):
    """Calls the function in this process."""

    size = 1

    def launch(self, function: Callable[[RunPlan, World], T], plan: RunPlan) -> T:
        """Returns what ``function(plan, world)`` returns."""
        return function(plan, World())

    def attached(self) -> None:
        """Refuses to be one of several processes, each of which would run the whole."""
        for name in SIZES:
            size = os.environ.get(name, "1")
            if size.isdigit() and int(size) > 1:
                raise UsageError(
                    f"This process is one of {size} ({name}={size}), and launch.name is local: each would run all",
                    "Choose launch.name=ddp or fsdp, or start adapt run by itself.",
                )
