"""What was saved is loaded again in a new process and compared, as in every run."""

from __future__ import annotations

from typing import Any

import pytest

import adapt_core

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

LORA = {"name": "lora", "r": 4, "target_modules": "conv"}


def test_what_is_saved_is_what_was_trained(cells: dict[str, Any]) -> None:
    """Compared in a new process, as every run does."""
    result = adapt_core.run({**cells, "method": LORA, "save": "state_dict"})
    assert result["reload_difference"]["model"] == 0.0
    assert result["reload_difference"]["export"] < 1e-3
