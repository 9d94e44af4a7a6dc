"""A launcher whose processes no signal reaches ends their runs by the world."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

import adapt_core
from adapt_core.errors import Interrupted
from adapt_core.interfaces import World
from adapt_core.launchers.local import Local

T = TypeVar("T")


class Second(World):
    """The second of two processes, of which the first says what the test says."""

    rank, size = 1, 2

    def __init__(self, first: Any) -> None:
        self.first = first
        self.gathered: list[Any] = []

    def gather(self, value: T) -> list[T]:
        self.gathered.append(value)
        return [self.first, value]


def test_a_world_needs_to_gather_and_nothing_else() -> None:
    assert Second(True).any(False) and not Second(False).any(False) and Second(False).any(True)
    world = Second(False)
    world.barrier()
    assert world.gathered == [False]


def test_a_run_that_is_asked_to_stop_ends_after_the_step_with_a_checkpoint(
    toy_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asked(World):
        steps = 0

        def asked_to_stop(self) -> bool:
            self.steps += 1
            return self.steps >= 3

    monkeypatch.setattr(Local, "launch", lambda _, function, plan: function(plan, Asked()))
    config = toy_config(training={"max_steps": 6})
    with pytest.raises(Interrupted, match=r"after step 3 of 6; the state of step 3 is saved"):
        adapt_core.run(config)
