"""What only several sections of a configuration together can tell. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def agreement(plan: Any) -> Iterator[tuple[tuple[str, str], str]]:
    """What the ``launch`` section says of the training must be what the ``training`` section says, which holds.

    Args:
        plan: the finished plan.
    """
    asked = plan.launcher.options.mixed_precision
    holds = next((name for name in ("bf16", "fp16") if getattr(plan.training, name)), "no")
    if asked not in (None, holds):
        write = f"set training.{asked}" if asked != "no" else f"remove training.{holds}"
        yield ("launch", "mixed_precision"), f"it is {asked}, and the training section says {holds}; {write}"
    recomputes = getattr(plan.training, "gradient_checkpointing", False)
    if getattr(plan.launcher.options, "activation_checkpointing", False) and not recomputes:
        said = "it is true, and the training section does not say so; set training.gradient_checkpointing"
        yield ("launch", "activation_checkpointing"), said
