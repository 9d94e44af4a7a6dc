"""Finds the library that a plan takes its model from."""

from __future__ import annotations

from typing import Any

from adapt_core.plan.run_plan import RunPlan
from adapt_vision.libraries.library import ImageLibrary


def library_of(plan: RunPlan, image_size: int | None) -> ImageLibrary:
    """The library, of which alone the Python package is imported."""
    if plan.library.name == "timm":
        from adapt_vision.libraries.timm import Timm

        return Timm(plan, image_size)
    from adapt_vision.libraries.transformers import Transformers

    return Transformers(plan, image_size)


def detectors_of(plan: RunPlan, image_size: int | None) -> Any:
    """The library of detectors, of which alone the Python package is imported."""
    if plan.library.name == "mmdet":
        from adapt_vision.libraries.openmmlab.detectors import Detectors as OfMMDet

        return OfMMDet(plan, image_size)
    from adapt_vision.libraries.detectors import Detectors

    return Detectors(plan, image_size)


def segmenters_of(plan: RunPlan, image_size: int | None) -> Any:
    """The library of models that find masks, of which alone the Python package is imported."""
    if plan.library.name == "mmdet":
        from adapt_vision.libraries.openmmlab.segmenters import Segmenters as OfMMDet

        return OfMMDet(plan, image_size)
    from adapt_vision.libraries.segmenters import Segmenters

    return Segmenters(plan, image_size)


def poses_of(plan: RunPlan) -> Any:
    """The library of pose estimators, of which alone the Python package is imported."""
    if plan.library.name == "mmpose":
        from adapt_vision.libraries.openmmlab.poses import Poses as OfMMPose

        return OfMMPose(plan, None)
    from adapt_vision.libraries.poses import Poses

    return Poses(plan, None)
