"""Options of the launchers. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from pydantic import field_validator

from adapt_core.options import Options, option


class LaunchOptions(Options):
    """What DDP and FSDP have in common: how many processes there are, and how they are started."""

    num_processes: int | None = option(
        None,
        flat="num_processes",
        gt=0,
        help="Processes on each machine; by default one for each GPU. Needed where there is no GPU.",
    )
    num_nodes: int = option(1, flat=("num_nodes", "num_machines"), gt=0, help="Machines.")
    use_cpu: bool = option(False, flat="use_cpu", help="Compute on the CPU also where there are GPUs.")
    max_restarts: int = option(
        0, ge=0, help="How often a run that fails is started anew from its last checkpoint, by itself."
    )
    rdzv_backend: str = option(
        "static",
        flat="rdzv_backend",
        examples=["static", "c10d"],
        help="How several machines meet, in the commands that adapt launch-command writes: static, where each is told "
        "its number, or c10d, where they number themselves.",
    )
    start_timeout: float = option(
        300.0, gt=0, help="Seconds that processes wait for one another at the start; a message names the missing ones."
    )
    timeout: float = option(
        1800.0, gt=0, help="Seconds that a process waits for the others in training before the run fails."
    )

    @field_validator("rdzv_backend")
    @classmethod
    def _known_backend(cls, value: str) -> str:
        if value not in ("static", "c10d"):
            raise ValueError(f"expected static or c10d, got {value!r}")
        return value


class DdpOptions(LaunchOptions):
    """Options of DDP."""

    find_unused_parameters: bool | None = option(
        None,
        help="Look in each step for trained parameters that the loss does not depend on, which takes time. By default "
        "the first batch tells whether there are any; set it where another batch uses others.",
    )
