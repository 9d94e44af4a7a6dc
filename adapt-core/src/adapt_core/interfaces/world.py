"""The processes of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class World:
    """The processes of a run, as everything but the launcher and the engine sees them.

    This one is a single process; launchers of several return a subclass.

    Attributes:
        rank: this process's number.
        size: how many there are.
        local_rank: this process's number on its machine.
        device: what this process computes on, as torch names it; None where the engine chooses.
        sharding: what an engine needs to shard a model over the processes, in its own terms; None where each has all.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    device: str | None = None
    sharding: Mapping[str, Any] | None = None

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def barrier(self) -> None:
        """Returns once every process has called it."""

    def gather(self, value: T) -> list[T]:
        """Every process's value, in order of rank, on every process."""
        return [value]

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in any process; every process calls it, and gets the same answer."""
        return flag if self.size == 1 else any(self.gather(flag))

    def describe(self) -> dict[str, Any]:
        """What ``environment.json`` says of the processes."""
        return {"processes": self.size}
