"""The engine on MMEngine's Runner keeps the promises of the contract suite."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from adapt_core.kinds import EngineSpec
from adapt_core.testing import EngineContract
from adapt_vision.engines.spec import MMENGINE

pytest.importorskip("mmengine", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")


class TestMMEngine(EngineContract):
    engine: ClassVar[EngineSpec] = MMENGINE
    refused: ClassVar[dict[str, Any]] = {"fp16": True}
