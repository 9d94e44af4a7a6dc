"""One process: this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from adapt_core.interfaces import World
from adapt_core.options import NoOptions
from adapt_core.plan.run_plan import RunPlan

T = TypeVar("T")


class Local:
    """Calls the function in this process."""

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def launch(self, function: Callable[[RunPlan, World], T], plan: RunPlan) -> T:
        """Returns what ``function(plan, world)`` returns."""
        return function(plan, World())
