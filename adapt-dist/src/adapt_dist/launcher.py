"""The launchers: they start the processes of one machine, or join those that somebody else has started."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from adapt_core.errors import UsageError
from adapt_core.interfaces import Launcher, World
from adapt_core.plan.run_plan import RunPlan
from adapt_dist.agent import start
from adapt_dist.commands import job as commands
from adapt_dist.commands import systems
from adapt_dist.fsdp_options import CHECKPOINTS, RESHARDS, WRAPS, FsdpOptions
from adapt_dist.joining import join
from adapt_dist.options import DdpOptions, LaunchOptions
from adapt_dist.place import PORT, found_place
from adapt_dist.reasons import leave_for_torchrun
from adapt_dist.worker import Job

T = TypeVar("T")


class TorchLauncher(Launcher):
    """Processes on ``torch.distributed``, started by torchrun's agent. Extend it with what their world is."""

    options: LaunchOptions

    @property
    def size(self) -> int | None:  # type: ignore[override]
        """How many processes there will be, where the options or this machine's GPUs tell."""
        local = self._local_size()
        return local * self.options.num_nodes if local else None

    def settings(self) -> Mapping[str, Any]:
        """Further arguments of the world."""
        return {}

    def launch(self, function: Callable[[RunPlan, World], T], plan: RunPlan) -> T:
        """Starts the processes of this machine; see :func:`adapt_dist.agent.start`.

        Raises:
            UsageError: the options ask for several machines, or do not say how many processes.
        """
        if self.options.num_nodes > 1:
            raise UsageError(
                f"launch.num_nodes is {self.options.num_nodes}: every machine must start its own processes",
                "adapt launch-command writes the commands.",
            )
        local = self._local_size()
        if local is None:
            raise _no_number()
        job = Job(function, plan, self.options, local, self.settings(), folder="")
        logs = Path(plan.output_dir, "logs") if isinstance(plan, RunPlan) else None
        result: T = start(job, local, logs)
        return result

    def attached(self) -> World | None:
        """The world that torchrun, ``accelerate launch`` or ``srun`` has made this process a part of."""
        place = found_place()
        if place is None:
            return None
        try:
            world = join(place, self.options, self.options.num_processes, self.settings())
        except Exception as error:  # whatever it was: raised again
            leave_for_torchrun(error)
            raise
        if world.is_main:
            print(f"{world.text} (started by {place.by})", file=sys.stderr, flush=True)  # noqa: T201
        return world

    def commands(self, system: str, command: Sequence[str], nodes: int, folder: str) -> str:
        """How several machines start the run; see :mod:`adapt_dist.commands.systems`.

        Raises:
            UsageError: nothing tells how many processes there are on each.
        """
        options = self.options
        if options.use_cpu and options.num_processes is None:
            raise _no_number()
        name = re.sub(r"[^a-z0-9]+", "-", f"adapt-{Path(folder).name}".lower()).strip("-")[:50]
        job = commands.Job(
            name=name,
            command=command,
            nodes=nodes,
            processes=options.num_processes,
            use_cpu=options.use_cpu,
            max_restarts=options.max_restarts,
            rdzv_backend=options.rdzv_backend,
            start_timeout=options.start_timeout,
            logs=str(Path(folder, "logs")),
            address=options.main_process_ip,
            port=options.main_process_port or PORT,
        )
        return systems.SYSTEMS[system](job)

    def _local_size(self) -> int | None:
        """How many processes this machine starts; None where nothing tells."""
        if self.options.num_processes:
            return self.options.num_processes
        gpus = 0 if self.options.use_cpu else torch.cuda.device_count()
        return gpus or None


def _no_number() -> UsageError:
    return UsageError(
        "launch.num_processes is not given, and there is no GPU to tell how many processes to start",
        "Write launch.num_processes: 2, say.",
    )


class Ddp(TorchLauncher):
    """Every process has the whole model and a share of each batch; they average their gradients."""

    options: DdpOptions

    def settings(self) -> Mapping[str, Any]:
        """Whether a step may leave parameters unused."""
        return {"unused_parameters": self.options.find_unused_parameters}


class Fsdp(TorchLauncher):
    """Every process has a shard of the model and a share of each batch (FSDP2)."""

    options: FsdpOptions

    def settings(self) -> Mapping[str, Any]:
        """How the model is sharded."""
        options = self.options
        return {
            "sharding": {
                "reshard": RESHARDS[options.sharding_strategy],
                "offload": options.offload_params,
                "wrap": WRAPS[options.auto_wrap_policy],
                "layers": tuple(options.transformer_layer_cls_to_wrap),
                "min_parameters": options.min_num_params,
                "checkpoints": CHECKPOINTS[options.state_dict_type],
                "one_reads": options.cpu_ram_efficient_loading,
            }
        }
