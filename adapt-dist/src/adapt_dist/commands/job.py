"""A run on several machines, of which every system writes its own description."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from adapt_dist.place import PORT

GRACE = 120
"""Seconds between the word that a run is to end and its end: a last step, and a checkpoint of it."""


@dataclass(frozen=True)
class Job:
    """A run on several machines.

    Attributes:
        name: for schedulers: lower case letters, digits and ``-``.
        command: that every process runs: ``("adapt", "run", "run.yaml")``.
        nodes: how many machines.
        processes: how many processes on each; None for one a GPU.
        use_cpu: whether they compute on the CPU.
        max_restarts: how often a failed run is started anew.
        rdzv_backend: how the machines meet: ``"static"`` or ``"c10d"``.
        start_timeout: seconds that they wait for one another.
        logs: the folder for what every process prints.
        address: of the first machine, where it is known before the machines are.
        port: where they meet there.
    """

    name: str
    command: Sequence[str]
    nodes: int
    processes: int | None
    use_cpu: bool
    max_restarts: int
    rdzv_backend: str
    start_timeout: float
    logs: str
    address: str | None = None
    port: int = PORT

    @property
    def gpus(self) -> int:
        """GPUs that each machine needs; 8, the most common number, where nothing tells."""
        return 0 if self.use_cpu else self.processes or 8

    @property
    def assumption(self) -> str:
        """A comment where nothing tells how many GPUs a machine has; empty otherwise."""
        if self.use_cpu or self.processes:
            return ""
        return f"# Each machine is taken to have {self.gpus} GPUs; launch.num_processes gives another number.\n"

    def torchrun(self, rank: str, address: str, port: str | None = None, processes: str | None = None) -> str:
        """The command of one machine, for a shell.

        Args:
            rank: the number of the machine, or what the shell makes it of.
            address: of the first machine, likewise.
            port: where they meet there, likewise; by default the job's.
            processes: how many on this machine, where the shell knows it.
        """
        port = port or str(self.port)
        count = processes or (str(self.processes) if self.processes else "gpu")
        seconds = math.ceil(self.start_timeout)  # torchrun takes whole ones
        if self.rdzv_backend == "static":
            meeting = ["--node-rank", rank, "--master-addr", address, "--master-port", port]
            patience = f"timeout={seconds}"
        else:
            meeting = ["--rdzv-backend", "c10d", "--rdzv-id", self.name, "--rdzv-endpoint", f"{address}:{port}"]
            patience = f"join_timeout={seconds},read_timeout={seconds}"
        parts = ["torchrun", "--nnodes", str(self.nodes), "--nproc-per-node", count, *meeting]
        parts += ["--rdzv-conf", patience, "--shutdown-timeout", str(GRACE)]
        parts += ["--max-restarts", str(self.max_restarts)] if self.max_restarts else []
        parts += ["--log-dir", shlex.quote(self.logs), "--redirects", "3", "--tee", "0:3"]
        # torchrun takes a Python module, and `adapt` is one by its full name.
        own = ["-m", "adapt_core.cli", *self.command[1:]]
        return " ".join([*parts, *map(shlex.quote, own)])
