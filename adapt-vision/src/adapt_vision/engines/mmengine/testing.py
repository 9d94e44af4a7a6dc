"""A tiny model's batch, as a task hands it to the Runner's engine, for the contract suites."""

from __future__ import annotations

from typing import Any

from adapt_core.testing.engines import trainer_inputs
from adapt_core.testing.models import Tiny
from adapt_vision.engines.mmengine.inputs import RunnerInputs


def runner_inputs(tiny: Tiny) -> RunnerInputs:
    """The same rows as the Trainer gets."""
    made: Any = trainer_inputs(tiny)
    return RunnerInputs(made.train, made.evaluation, made.collate)
