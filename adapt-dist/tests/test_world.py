"""The processes that run are held against those that were asked for, and say what they are."""

from __future__ import annotations

from typing import Any

import jobs
import pytest
import torch.distributed as dist

from adapt_core.errors import AdaptError
from adapt_dist.launcher import Ddp
from adapt_dist.options import DdpOptions
from adapt_dist.world import TorchWorld

CPUS, ONE_GPU = ("cpu", "cpu"), ("cuda:0", "cuda:0")

DEMANDS = {
    (CPUS, (0, 1), 1, 2): "",
    (CPUS, (0, 1), 1, None): "",
    (CPUS, (0, 0), 2, 1): "",
    (CPUS, (0, 1), 2, None): "2 machines were asked for (launch.num_nodes), and 2 processes on 1 machine run",
    (CPUS, (0, 0), 1, None): "1 machine was asked for (launch.num_nodes), and 2 processes on 2 machines run",
    (CPUS, (0, 1), 2, 1): "2 machines with 1 process each were asked for (launch.num_nodes, launch.num_processes), "
    "and 2 processes on 1 machine run",
    (CPUS, (0, 0), 1, 2): "1 machine with 2 processes each was asked for (launch.num_nodes, launch.num_processes), "
    "and 2 processes on 2 machines run",
    (CPUS, (0, 1), 1, 3): "1 machine with 3 processes each was asked for (launch.num_nodes, launch.num_processes), "
    "and 2 processes on 1 machine run",
    (ONE_GPU, (0, 1), 1, 2): "Several processes compute on cuda:0 of one machine",
    (("cpu", "cuda:0"), (0, 1), 1, 2): "Some processes compute on cpu and some on cuda",
}  # fmt: skip
"""What is said, by the devices of two processes, their numbers on their machines, and how many are asked for."""


@pytest.mark.slow
def test_no_other_world_runs_than_the_one_that_was_asked_for() -> None:
    options = DdpOptions(num_processes=2, use_cpu=True)
    said: Any = Ddp(options).launch(jobs.what_is_refused, list(DEMANDS))  # type: ignore[arg-type]
    assert dict(zip(DEMANDS, said, strict=True)) == DEMANDS


@pytest.mark.slow
def test_debug_has_torch_check_collective_operations() -> None:
    options = DdpOptions(num_processes=2, use_cpu=True, debug=True, timeout=20)
    with pytest.raises(AdaptError, match="mismatch between collectives"):
        Ddp(options).launch(jobs.call_unlike_collectives, None)  # type: ignore[arg-type]


def test_the_backend_is_the_one_that_torch_has_made() -> None:
    """Also where the device would make one think of another."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    try:
        assert "over gloo: cuda:0" in TorchWorld(0, "cuda:0").text
        assert TorchWorld(0, "cpu").describe()["backend"] == "gloo"
    finally:
        dist.destroy_process_group()
