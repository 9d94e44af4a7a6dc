"""The precision that ``accelerate launch`` was told, which must be the configuration's."""

from __future__ import annotations

import os

from adapt_core.engines.common.optimization_options import OptimizationOptions
from adapt_core.errors import AdaptError


def require_asked_precision(options: OptimizationOptions) -> None:
    """Raises AdaptError where ``accelerate launch --mixed_precision`` asks for another precision than the options."""
    asked = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if asked == "no" or getattr(options, asked, False):
        return
    known = asked in ("bf16", "fp16")
    raise AdaptError(
        f"accelerate launch asks for {asked} (ACCELERATE_MIXED_PRECISION), and "
        + (f"training.{asked} is not set" if known else "Adapt does not train in it"),
        f"Set training.{asked}, or start with --mixed_precision no." if known else "Start with --mixed_precision no.",
    )
