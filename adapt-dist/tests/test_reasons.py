"""Why a process ended, in the store in which all have met: found by the others, or by nobody within moments."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import torch.distributed as dist

from adapt_core.errors import AdaptError, Interrupted
from adapt_dist import reasons
from adapt_dist.reasons import Reasons


@pytest.fixture
def store() -> dist.Store:
    return dist.HashStore()


def test_the_first_reason_is_told_to_the_others(store: dist.Store) -> None:
    first, second, third = (Reasons(store, rank, 3, attempt=0) for rank in range(3))
    first.leave(AdaptError("The disk is full", "Free some of it."))
    second.leave(ValueError("nothing came"))
    found = third.of_another()
    assert found is not None
    assert (found.message, found.hint) == ("Process 0 of 3 failed: The disk is full", "Free some of it.")
    assert first.of_another() is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted("Stopped", "Go on.")])
def test_a_process_that_was_stopped_is_no_reason(store: dist.Store, error: BaseException) -> None:
    Reasons(store, 0, 2, attempt=0).leave(error)
    assert Reasons(store, 1, 2, attempt=0).of_another() is None


def test_a_reason_is_one_of_its_attempt(store: dist.Store) -> None:
    Reasons(store, 0, 2, attempt=0).leave(ValueError("no"))
    assert Reasons(store, 1, 2, attempt=1).of_another() is None


class Gone:
    """A store whose process has ended."""

    def check(self, _: Any) -> bool:
        raise dist.DistNetworkError("failed to recv, got 0 bytes")


class Silent:
    """One that does not answer."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def check(self, _: Any) -> bool:
        self.end.wait()
        return False


def test_a_store_that_went_with_its_process_tells_nothing() -> None:
    assert Reasons(Gone(), 1, 2, attempt=0).of_another() is None  # type: ignore[arg-type]


def test_a_store_that_does_not_answer_is_waited_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reasons, "PATIENCE", 0.2)
    store = Silent()
    begin = time.perf_counter()
    try:
        assert Reasons(store, 1, 2, attempt=0).of_another() is None  # type: ignore[arg-type]
        assert time.perf_counter() - begin < 30
    finally:
        store.end.set()
