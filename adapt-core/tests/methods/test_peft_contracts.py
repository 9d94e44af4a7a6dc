"""PEFT's tuners, by PEFT's own names, keep the promises of the contract suite."""

from __future__ import annotations

from adapt_core.methods.peft_tuners.table import TUNERS
from adapt_core.testing import MethodContract
from adapt_core.testing.settings import SETTINGS, suites

TESTED = [name for name, tuner in TUNERS.items() if tuner.support == "tested"]
globals().update(suites(MethodContract, TESTED))


def test_there_are_settings_for_every_tuner_that_is_called_tested() -> None:
    assert set(TESTED) <= set(SETTINGS)
