"""Pose detection from COCO's JSON to a used model, with tiny models built on the spot."""

from __future__ import annotations

from typing import Any

import pytest

from adapt_core.testing import TaskContract


class TestPoseContract(TaskContract):
    @pytest.fixture
    def configuration(self, pose: dict[str, Any]) -> dict[str, Any]:
        return pose
