"""Where this process stands among the processes that somebody has started: torchrun, ``accelerate launch`` or srun."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from adapt_core.errors import UsageError

PORT = 29500
"""Where processes meet that were told of no port; torchrun's own default."""


@dataclass(frozen=True)
class Place:
    """One process among several.

    Attributes:
        rank: its number.
        size: how many there are.
        local_rank: its number on its machine.
        local_size: how many there are on its machine.
        address: of the machine where they meet.
        port: where they meet there.
        hosted: whether the store in which they meet is kept by somebody else, such as torchrun's agent.
        attempt: how often they have been started anew.
        by: what has started them.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    address: str
    port: int
    hosted: bool
    attempt: int
    by: str

    @property
    def variables(self) -> dict[str, str]:
        """As torch and its like read it from the environment."""
        return {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.size),
            "LOCAL_RANK": str(self.local_rank),
            "LOCAL_WORLD_SIZE": str(self.local_size),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
        }


def found_place(environment: Mapping[str, str] | None = None) -> Place | None:
    """The place that the environment gives this process; None where nobody has started several.

    ``accelerate launch`` runs torchrun, which sets the same variables; ``srun`` sets its own, for every task of a step.

    Raises:
        UsageError: the environment says it by half.
    """
    given = os.environ if environment is None else environment
    if "RANK" in given and "WORLD_SIZE" in given:
        return _of_torchrun(given)
    if int(given.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "SLURM_PROCID" in given:
        return _of_srun(given)
    return None


def _of_torchrun(given: Mapping[str, str]) -> Place:
    missing = [name for name in ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in given]
    if missing:
        raise UsageError(
            f"The environment has RANK and WORLD_SIZE, and lacks {', '.join(missing)}",
            "Start the processes with torchrun: adapt launch-command writes its commands.",
        )
    return Place(
        rank=int(given["RANK"]),
        size=int(given["WORLD_SIZE"]),
        local_rank=int(given["LOCAL_RANK"]),
        local_size=int(given.get("LOCAL_WORLD_SIZE", "1")),
        address=given["MASTER_ADDR"],
        port=int(given["MASTER_PORT"]),
        hosted=given.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        attempt=int(given.get("TORCHELASTIC_RESTART_COUNT", "0")),
        by="torchrun" if "TORCHELASTIC_RUN_ID" in given else "the environment",
    )


def _of_srun(given: Mapping[str, str]) -> Place:
    nodes = given.get("SLURM_STEP_NODELIST", given.get("SLURM_JOB_NODELIST", ""))
    size = int(given["SLURM_STEP_NUM_TASKS"])
    # "4(x2),3" is how many tasks each machine has.
    tasks = re.match(r"\d+", given.get("SLURM_STEP_TASKS_PER_NODE", "1"))
    return Place(
        rank=int(given["SLURM_PROCID"]),
        size=size,
        local_rank=int(given["SLURM_LOCALID"]),
        local_size=int(tasks[0]) if tasks else 1,
        address=given.get("MASTER_ADDR") or first_host(nodes) or "127.0.0.1",
        port=int(given.get("MASTER_PORT", PORT + int(given.get("SLURM_JOB_ID", "0")) % 10_000)),
        hosted=False,
        attempt=int(given.get("SLURM_RESTART_COUNT", "0")),
        by="srun",
    )


def first_host(nodes: str) -> str:
    """The first machine of Slurm's list: ``"gpu[03-07,12],cpu1"`` begins with ``gpu03``."""
    found = re.match(r"([^\[,]+)(?:\[(\d+))?", nodes)
    return f"{found[1]}{found[2] or ''}" if found else ""
