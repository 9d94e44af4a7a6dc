"""A configuration and the installed plugins become a plan, or every problem at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapt_core.plan.build import build_plan
    from adapt_core.plan.run_plan import RunPlan

__all__ = ["RunPlan", "build_plan"]


def __getattr__(name: str) -> Any:
    """Lends out the plan and what makes it, on use: the two stand in modules of their own."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from adapt_core.plan import build, run_plan

    return getattr(run_plan if name == "RunPlan" else build, name)
