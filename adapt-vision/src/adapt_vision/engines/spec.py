"""The engines of this package, as tasks name them. Imports nothing heavy."""

from __future__ import annotations

from adapt_core.kinds import EngineSpec

MMENGINE = EngineSpec(
    name="mmengine",
    target="adapt_vision.engines.mmengine.engine:MMEngine",
    training="adapt_vision.engines.mmengine.options:RunnerOptions",
    parallel=("replicated",),
    why_not_parallel="its models fit on one GPU, where most of the memory goes to activations, which sharding does not "
    "divide; write launch: {name: ddp}",
    test_inputs="adapt_vision.engines.mmengine.testing:runner_inputs",
)
"""MMEngine's ``Runner``."""
