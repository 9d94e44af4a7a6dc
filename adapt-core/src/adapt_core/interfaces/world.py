"""The processes of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from adapt_core.errors import AdaptError

T = TypeVar("T")


class World:
    """The processes of a run, as everything but the launcher and the engine sees them.

    This one is a single process. Launchers of several return a subclass, which sets the attributes and overrides
    :meth:`gather`; the rest works by it.

    Attributes:
        rank: this process's number.
        size: how many there are.
        local_rank: this process's number on its machine.
        device: what this process computes on, as torch names it; None where the engine chooses.
        sharding: how a model is to be sharded over the processes; None where each has all of it. Keys:
            ``reshard`` (whether parameters are freed between forward and backward), ``offload`` (to main memory),
            ``wrap`` (``"layers"``, ``"size"`` or ``"none"``), ``layers`` (class names) and ``min_parameters`` for it,
            ``checkpoints`` (``"full"`` or ``"sharded"``), ``one_reads`` (whether the main process reads the base's
            weights for all).
        unused_parameters: whether a step may leave trained parameters unused; None where the engine finds out.
        attempt: how often the processes have been started anew after a failure: such a run goes on by itself.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    device: str | None = None
    sharding: Mapping[str, Any] | None = None
    unused_parameters: bool | None = None
    attempt: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def barrier(self) -> None:
        """Returns once every process has called it."""
        self.any(False)

    def gather(self, value: T) -> list[T]:
        """Every process's value, in order of rank, on every process."""
        return [value]

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in any process; every process calls it, and gets the same answer."""
        return flag if self.size == 1 else any(self.gather(flag))

    def asked_to_stop(self) -> bool:
        """Whether the launcher has been asked to end this process's run; engines ask after each step.

        For launchers whose processes get no signals. Of the others, engines notice Ctrl-C and SIGTERM by themselves.
        """
        return False

    def tell(self, error: BaseException) -> None:
        """Leaves word of why this process ends, for the others and for whoever has started them; here there are none.

        Called where somebody else has started the processes, with whatever ends this one.
        """

    def why_lost(self, error: BaseException) -> AdaptError | None:
        """Why other processes are gone, where an error tells only that they are; None for any other."""
        return None

    def describe(self) -> dict[str, Any]:
        """What ``environment.json`` says of the processes; only the main one calls it."""
        return {"processes": self.size}
