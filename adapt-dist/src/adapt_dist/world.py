"""The processes of a run on ``torch.distributed``."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import BackendConfig

from adapt_core.errors import AdaptError, Interrupted
from adapt_core.interfaces import World
from adapt_dist.failures import is_echo
from adapt_dist.reasons import Reasons

T = TypeVar("T")


class TorchWorld(World):
    """A world whose process group has been made. Objects and flags go over gloo, tensors of GPUs over NCCL.

    Args:
        local_rank: this process's number on its machine.
        device: what it computes on, as torch names it.
        sharding: how a model is sharded; None where each process has all of it.
        unused_parameters: whether a step may leave trained parameters unused; None where the engine finds out.
        attempt: how often the processes have been started anew.
        reasons: where the processes leave why they end; None for nowhere.
    """

    def __init__(
        self,
        local_rank: int,
        device: str,
        *,
        sharding: Mapping[str, Any] | None = None,
        unused_parameters: bool | None = None,
        attempt: int = 0,
        reasons: Reasons | None = None,
    ) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self.local_rank = local_rank
        self.device = device
        self.sharding = sharding
        self.unused_parameters = unused_parameters
        self.attempt = attempt
        self._reasons = reasons
        places = self.gather((socket.gethostname(), device, local_rank))
        self._places = [(host, device) for host, device, _ in places]
        self._local_ranks = [each for *_, each in places]

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

    def tell(self, error: BaseException) -> None:
        """Leaves the reason for the other processes, and for torchrun."""
        if self._reasons is not None:
            self._reasons.leave(error)

    def why_lost(self, error: BaseException) -> AdaptError | None:
        """Why another process is gone, where the error tells only that one is; None for any other.

        Where one has failed, whoever has started it asks the others to stop, which is no reason either.
        """
        echo = is_echo(error)
        may_be = echo or isinstance(error, KeyboardInterrupt | Interrupted)
        reason = self._reasons.of_another() if may_be and self._reasons is not None else None
        if reason is not None or not echo:
            return reason
        said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        return AdaptError(
            f"Process {self.rank} of {self.size} lost the others: {said}",
            "See what ended them, or cut the network between them; then go on with adapt run --resume.",
        )

    def require(self, machines: int, processes: int | None) -> None:
        """Holds the processes against what was asked for.

        Args:
            machines: how many there must be.
            processes: how many on each; None for as many as there are.

        Raises:
            AdaptError: there are others, or they do not each have a device of their own where these are GPUs.
        """
        each = f" with {_counted(processes, 'process', 'es')} each" if processes else ""
        ranks = Counter(self._local_ranks)
        if self._machines != machines or (processes and ranks != dict.fromkeys(range(processes), machines)):
            asked = "launch.num_nodes, launch.num_processes" if processes else "launch.num_nodes"
            raise AdaptError(
                f"{_counted(machines, 'machine', 's')}{each} {'were' if machines > 1 else 'was'} asked for ({asked}), "
                f"and {_counted(self.size, 'process', 'es')} on {_counted(self._machines, 'machine', 's')} run",
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
        where = "one machine" if self._machines == 1 else f"{self._machines} machines"
        kind = "FSDP" if self.sharding is not None else "DDP"
        return f"{kind}: {_counted(self.size, 'process', 'es')} on {where} over {self._backend}: {each}"

    def describe(self) -> dict[str, Any]:
        """What ``environment.json`` says of the processes. It names no machine."""
        return {
            "processes": self.size,
            "machines": self._machines,
            "backend": self._backend,
            "devices": [device for _, device in self._places],
            "sharding": None if self.sharding is None else dict(self.sharding),
        }

    @property
    def _machines(self) -> int:
        """Each has one process that is its first; names of machines may be the same."""
        return self._local_ranks.count(0)

    @property
    def _backend(self) -> str:
        """What torch has made for the device."""
        made = BackendConfig(dist.Backend(dist.get_backend_config()))
        return str(made.get_device_backend_map()[torch.device(self.device or "cpu").type])


def _counted(count: int, noun: str, plural: str) -> str:
    return f"{count} {noun}{plural if count > 1 else ''}"
