"""The engines of this package, as tasks name them. Imports nothing heavy."""

from __future__ import annotations

from adapt_core.kinds import EngineSpec

MMENGINE = EngineSpec(
    name="mmengine",
    target="adapt_vision.engines.mmengine.engine:MMEngine",
    training="adapt_vision.engines.mmengine.options:RunnerOptions",
    parallel=("replicated",),
    why_not_parallel="the models of MMDet and MMPose fit on one GPU, and what takes memory are their activations, "
    "which sharding does not divide; write launch: {name: ddp}",
    test_inputs="adapt_vision.engines.mmengine.testing:runner_inputs",
)
"""MMEngine's ``Runner``."""
