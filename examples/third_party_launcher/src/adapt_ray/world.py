from pathlib import Path

import ray.train.torch
import torch.distributed as dist

from adapt_core.interfaces import World


class RayWorld(World):
    """The processes of a run, on the process group that Ray Train has made."""

    def __init__(self, stop: Path, unused_parameters: bool | None) -> None:
        context = ray.train.get_context()
        self.rank = context.get_world_rank()
        self.size = context.get_world_size()
        self.local_rank = context.get_local_rank()
        self.device = str(ray.train.torch.get_device())
        self.stop, self.unused_parameters = stop, unused_parameters
        self.devices = self.gather(self.device)

    def gather(self, value):
        found = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def asked_to_stop(self) -> bool:
        # Ray Train calls us in a thread, which no signal reaches: the launcher leaves a file.
        return self.stop.exists()

    def describe(self):
        return {**super().describe(), "backend": dist.get_backend(), "devices": self.devices}
