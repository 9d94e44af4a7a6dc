"""What the tests have processes do. A module of its own, since they import it: it must be light."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_core.methods.full.method import Full
from adapt_core.pipeline.reading import read_once


def fail_in_one(plan: Any, world: World) -> None:
    """The second process fails while the first waits for it."""
    if world.rank == 1:
        raise AdaptError("the row is wrong", "mend it")
    world.barrier()
    world.barrier()


def fail_unexpectedly_in_one(plan: Any, world: World) -> None:
    """The same with an error of Python's."""
    if world.rank == 1:
        raise KeyError("no such key")
    world.barrier()
    world.barrier()


def die_in_one(plan: Any, world: World) -> None:
    """The second process is killed while the first waits for it."""
    world.barrier()
    if world.rank == 1:
        Path(plan).write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)
    world.barrier()
    time.sleep(60)


def die_in_one_beside_a_deaf_one(plan: Any, world: World) -> None:
    """The second process is killed; the first does not hear that it is to end."""
    world.barrier()
    if world.rank == 1:
        Path(plan).write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)


def rank_of(plan: Any, world: World) -> int:
    """Nothing else."""
    return world.rank


def what_is_refused(plan: Any, world: World) -> list[str]:
    """What each world says to each of the demands of the plan; worlds by the devices of their processes."""
    from adapt_dist.world import TorchWorld

    said = []
    for devices, local_ranks, machines, processes in plan:
        found = TorchWorld(local_ranks[world.rank], devices[world.rank])
        try:
            found.require(machines, processes)
        except AdaptError as error:
            said.append(error.message)
        else:
            said.append("")
    return said


def call_unlike_collectives(plan: Any, world: World) -> None:
    """The processes do not call the same collective operation: torch notices where it checks them."""
    import torch
    import torch.distributed as dist

    one = torch.ones(1)
    if world.rank == 0:
        dist.all_reduce(one)
    else:
        dist.broadcast(one, 0)


def die_once(plan: Any, world: World) -> Any:
    """The second process is killed, unless it was started anew."""
    world.barrier()
    if world.rank == 1 and world.attempt == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return [world.attempt, *world.gather(world.rank)]


def memory_of_a_base(plan: Any, world: World) -> Any:
    """Of each process: the bytes of its own that it has for the weights of a model, and whether these are there.

    First where each process is to have them, then where they are to be sharded.
    """
    import torch
    from transformers import AutoModel

    small, base = plan
    AutoModel.from_pretrained(small)  # with all that is imported for it
    found = []
    for sharding in (None, world.sharding):
        world.sharding = sharding
        begin = _own_memory()
        with read_once(world, Full(None)):
            model = AutoModel.from_pretrained(base, dtype=torch.float32)
        there = bool(model.embeddings.word_embeddings.weight[5].any())
        found.append(world.gather((_own_memory() - begin, there)))
        del model
    return found


def _own_memory() -> int:
    """Without what is mapped from files, which processes of a machine share."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


def left_alone(folder: str) -> None:
    """Works only after its parent has died; what comes after the work leaves a file."""
    from adapt_dist.worker import work

    place = Path(folder)
    parent = os.getppid()
    (place / "begun").touch()
    while os.getppid() == parent:
        time.sleep(0.02)
    try:
        work(None)  # type: ignore[arg-type]  # which is not reached
    finally:
        (place / "went on").touch()
