"""The processes of a run on ``torch.distributed``."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_dist.failures import is_echo

T = TypeVar("T")


class TorchWorld(World):
    """A world whose process group has been made. Objects and flags go over gloo, tensors of GPUs over NCCL.

    Args:
        local_rank: this process's number on its machine.
        device: what it computes on, as torch names it.
        sharding: how a model is sharded; None where each process has all of it.
        unused_parameters: whether a step may leave trained parameters unused; None where the engine finds out.
        attempt: how often the processes have been started anew.
    """

    def __init__(
        self,
        local_rank: int,
        device: str,
        *,
        sharding: Mapping[str, Any] | None = None,
        unused_parameters: bool | None = None,
        attempt: int = 0,
    ) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self.local_rank = local_rank
        self.device = device
        self.sharding = sharding
        self.unused_parameters = unused_parameters
        self.attempt = attempt
        self._places = self.gather((socket.gethostname(), device))

    def barrier(self) -> None:
        """Returns once every process has called it."""
        self.any(False)

    def gather(self, value: T) -> list[T]:
        """Every process's value, in order of rank, on every process."""
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in any process."""
        number = torch.tensor(int(flag), dtype=torch.int32)
        dist.all_reduce(number, dist.ReduceOp.MAX)
        return bool(number)

    def why_lost(self, error: BaseException) -> AdaptError | None:
        """An error of a collective operation whose other side is gone, in words for people; None for any other."""
        if not is_echo(error):
            return None
        said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        return AdaptError(
            f"Process {self.rank} of {self.size} lost the others: {said}",
            "See what ended them, or cut the network between them; then go on with adapt run --resume.",
        )

    def require(self, size: int | None) -> None:
        """Raises AdaptError unless there are so many processes, each with a device of its own where these are GPUs."""
        if size is not None and self.size != size:
            raise AdaptError(
                f"{size} processes were asked for (launch.num_processes × launch.num_nodes), and {self.size} run",
                "Start as many, or change the options.",
            )
        shared = sorted({each for each in self._places if each[1] != "cpu" and self._places.count(each) > 1})
        if shared:
            raise AdaptError(f"Several processes compute on {shared[0][1]} of one machine", "Start fewer on it.")
        kinds = {device.partition(":")[0] for _, device in self._places}
        if len(kinds) > 1:
            raise AdaptError(f"Some processes compute on {' and some on '.join(sorted(kinds))}", "Set launch.use_cpu.")

    @property
    def text(self) -> str:
        """For a person: how many processes there are, over what they talk, and on what each computes."""
        machines: dict[str, list[str]] = {}
        for host, device in self._places:
            machines.setdefault(host, []).append(device)
        each = "; ".join(", ".join(devices) for devices in machines.values())
        count = len(machines)
        where = "one machine" if count == 1 else f"{count} machines"
        kind = "FSDP" if self.sharding is not None else "DDP"
        return f"{kind}: {self.size} process{'es' if self.size > 1 else ''} on {where} over {self._backend}: {each}"

    def describe(self) -> dict[str, Any]:
        """What ``environment.json`` says of the processes. It names no machine."""
        return {
            "processes": self.size,
            "machines": len({host for host, _ in self._places}),
            "backend": self._backend,
            "devices": [device for _, device in self._places],
            "sharding": None if self.sharding is None else dict(self.sharding),
        }

    @property
    def _backend(self) -> str:
        return "nccl" if self.device != "cpu" else str(dist.get_backend())
