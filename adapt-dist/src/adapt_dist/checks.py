"""What only several sections of a configuration together can tell. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def precision(plan: Any) -> Iterator[tuple[tuple[str, str], str]]:
    """``launch.mixed_precision`` must say the same as the ``training`` section, which is what holds.

    Args:
        plan: the finished plan.
    """
    asked = plan.launcher.options.mixed_precision
    if asked is None:
        return
    holds = next((name for name in ("bf16", "fp16") if getattr(plan.training, name)), "no")
    if asked != holds:
        write = f"set training.{asked}" if asked != "no" else f"remove training.{holds}"
        yield ("launch", "mixed_precision"), f"it is {asked}, and the training section says {holds}; {write}"
