"""Finds the library that a plan takes its model from."""

from __future__ import annotations

from adapt_core.plan.run_plan import RunPlan
from adapt_vision.libraries.library import ImageLibrary


def library_of(plan: RunPlan, image_size: int | None) -> ImageLibrary:
    """The library, of which alone the Python package is imported."""
    if plan.library.name == "timm":
        from adapt_vision.libraries.timm import Timm

        return Timm(plan, image_size)
    from adapt_vision.libraries.transformers import Transformers

    return Transformers(plan, image_size)
