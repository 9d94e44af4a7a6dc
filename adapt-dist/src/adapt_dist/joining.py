"""Makes this process one of several: the processes meet in a store, and build their process group from it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store

from adapt_core.errors import AdaptError
from adapt_dist.accelerate_launch import settle_accelerate
from adapt_dist.options import LaunchOptions
from adapt_dist.place import Place
from adapt_dist.reasons import Reasons
from adapt_dist.world import TorchWorld

PREFIX = "adapt"


def settle_threads(local_size: int) -> None:
    """Shares the machine's cores among its processes, unless ``OMP_NUM_THREADS`` says how many each may use."""
    if "OMP_NUM_THREADS" not in os.environ:
        threads = max((os.cpu_count() or 1) // local_size, 1)
        os.environ["OMP_NUM_THREADS"] = str(threads)
        torch.set_num_threads(threads)


def device_for(place: Place, *, use_cpu: bool) -> str:
    """What a process computes on.

    Raises:
        AdaptError: its machine has fewer GPUs than processes.
    """
    if use_cpu or not torch.cuda.is_available():
        return "cpu"
    count = torch.cuda.device_count()
    if place.local_rank >= count:
        raise AdaptError(
            f"There are {place.local_size} processes on this machine, and {count} GPUs",
            "Lower launch.num_processes, or set launch.use_cpu.",
        )
    return f"cuda:{place.local_rank}"


@contextmanager
def joined(place: Place, options: LaunchOptions, processes: int, settings: Mapping[str, Any]) -> Iterator[TorchWorld]:
    """The world of a place, for as long as the block lasts; see :func:`join`."""
    world = join(place, options, processes, settings)
    yield world
    # After an error the others may wait for this process: it ends, and takes its connections with it.
    dist.destroy_process_group()


def join(place: Place, options: LaunchOptions, processes: int | None, settings: Mapping[str, Any]) -> TorchWorld:
    """Meets the other processes.

    Args:
        place: of this process.
        options: of the launcher, which say how many machines there must be.
        processes: how many there must be on each; None for as many as there are.
        settings: further arguments of :class:`TorchWorld`.

    Raises:
        AdaptError: some do not come, with their ranks and the address, or the world is not the one asked for.
    """
    sharding = settings.get("sharding")
    settle_accelerate(options)
    os.environ.update(place.variables)
    if options.debug:
        os.environ["TORCH_DISTRIBUTED_DEBUG"] = "DETAIL"
        dist.set_debug_level_from_env()  # type: ignore[attr-defined]  # torch read it when it was imported
    settle_threads(place.local_size)
    device = device_for(place, use_cpu=options.use_cpu)
    if device != "cpu":
        torch.cuda.set_device(device)
    elif sharding is not None and sharding["offload"]:
        raise AdaptError(
            "launch.offload_params: the model is trained in main memory, and there is no GPU to keep it off",
            "Remove the key.",
        )
    store = _store(place, options.start_timeout)
    _meet(store, place, options.start_timeout)
    dist.init_process_group(
        "gloo" if device == "cpu" else "cpu:gloo,cuda:nccl",
        store=PrefixStore(f"{PREFIX}/group/{place.attempt}", store),
        rank=place.rank,
        world_size=place.size,
        timeout=timedelta(seconds=options.timeout),
    )
    reasons = Reasons(store, place.rank, place.size, place.attempt)
    world = TorchWorld(place.local_rank, device, attempt=place.attempt, reasons=reasons, **settings)
    world.require(options.num_nodes, processes)
    return world


def _store(place: Place, timeout: float) -> Store:
    try:
        return dist.TCPStore(  # type: ignore[attr-defined]
            place.address,
            place.port,
            place.size,
            is_master=place.rank == 0 and not place.hosted,
            timeout=timedelta(seconds=timeout),
            wait_for_workers=False,
            multi_tenant=True,
        )
    except dist.DistError as error:
        raise AdaptError(
            f"Process {place.rank} of {place.size} does not reach the others at {place.address}:{place.port} within "
            f"{timeout:g} s: {_first_line(error)}",
            "See that the main process runs there, and that the machines reach that port.",
        ) from error


def _meet(store: Store, place: Place, timeout: float) -> None:
    """Waits for every process, and says which have not come.

    Raises:
        AdaptError: some do not come in time.
    """
    keys = {rank: f"{PREFIX}/here/{place.attempt}/{rank}" for rank in range(place.size)}
    store.set(keys[place.rank], "")
    deadline = time.monotonic() + timeout
    pause = 0.01
    while not store.check(list(keys.values())):
        if time.monotonic() > deadline:
            missing = [rank for rank, key in keys.items() if not store.check([key])]
            raise AdaptError(
                f"Of {place.size} processes that were to meet at {place.address}:{place.port}, "
                f"{_ranks(missing)} did not come within {timeout:g} s",
                "See that they are started and reach that address; launch.start_timeout says how long to wait.",
            )
        time.sleep(pause)
        pause = min(2 * pause, 1.0)


def _ranks(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:10])) + (", …" if len(numbers) > 10 else "")
    return f"rank{'s' if len(numbers) > 1 else ''} {shown}"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
