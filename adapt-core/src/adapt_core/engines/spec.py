"""The engines of the core, as tasks name them. Imports nothing heavy."""

from __future__ import annotations

from adapt_core.kinds import EngineSpec

TRAINER = EngineSpec(
    name="trainer",
    target="adapt_core.engines.trainer.engine:TrainerEngine",
    training="adapt_core.engines.trainer.options:TrainerOptions",
    parallel=("replicated", "sharded"),
    test_inputs="adapt_core.testing.engines:trainer_inputs",
)
"""transformers' ``Trainer``."""
