"""The processes of a run."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class World:
    """The processes of a run, as everything but the launcher and the engine sees them.

    This one is a single process; launchers of several return a subclass.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def barrier(self) -> None:
        """Returns once every process has called it."""

    def gather(self, value: T) -> list[T]:
        """Every process's value, in order of rank, on every process."""
        return [value]
