"""Checkpoints of tuners whose own file leaves out what a training goes on with."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from adapt_core.testing import MethodContract

pytestmark = pytest.mark.usefixtures("no_reload")


class Vblora(MethodContract):
    method = "vblora"
    options: ClassVar = {"vector_length": 8, "num_vectors": 20, "save_only_topk_weights": True}
    works_on = ("encoder",)


def test_vblora_resumes_though_its_file_holds_no_logits(tmp_path: Path) -> None:
    Vblora().test_it_trains_and_resumes_through_the_engines_that_it_claims(tmp_path)
