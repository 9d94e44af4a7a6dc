"""The engines keep the promises of the contract suite: the Trainer's, and one of bare PyTorch."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from adapt_core.engines.spec import TRAINER
from adapt_core.kinds import EngineSpec
from adapt_core.testing import EngineContract


class TestTrainer(EngineContract):
    engine = TRAINER
    refused: ClassVar[dict[str, Any]] = {"fp16": True}


@pytest.mark.usefixtures("bare")
class TestBare(EngineContract):
    engine = EngineSpec(
        name="bare",
        target="bare_engine:BareEngine",
        training="bare_options:BareOptions",
        test_inputs="bare_engine:inputs_of_a_tiny_model",
    )
    refused: ClassVar[dict[str, Any]] = {"fp16": True, "bf16": True, "warmup_steps": 3}
