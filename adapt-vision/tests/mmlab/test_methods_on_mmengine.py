"""Every method that is called tested trains and resumes through the Runner's engine: its column in the docs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from adapt_core.kinds import EngineSpec, Kind, MethodSpec
from adapt_core.plugins.registry import Registry
from adapt_core.testing import MethodContract
from adapt_core.testing.settings import SETTINGS, suites
from adapt_vision.engines.spec import MMENGINE

pytest.importorskip("mmengine", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")


class OnMMEngine(MethodContract):
    engines: ClassVar[tuple[EngineSpec, ...]] = (MMENGINE,)


TESTED = [
    entry.spec.name
    for entry in Registry.load().entries(Kind.METHOD)
    if isinstance(entry.spec, MethodSpec) and entry.spec.support == "tested" and entry.spec.name in SETTINGS
]
SUITES = {suite.method: suite for suite in suites(OnMMEngine, TESTED).values()}


@pytest.mark.parametrize("method", TESTED)
def test_a_method_trains_and_resumes(method: str, tmp_path: Path) -> None:
    SUITES[method]().test_it_trains_and_resumes_through_the_engines_that_it_claims(tmp_path)
