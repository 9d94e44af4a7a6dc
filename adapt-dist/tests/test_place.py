"""Whoever has started several processes is recognised by what it leaves in their environment."""

from __future__ import annotations

import pytest

from adapt_core.errors import UsageError
from adapt_dist.place import Place, first_host, found_place

TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "node1",
    "MASTER_PORT": "1234", "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "1",
    "TORCHELASTIC_RUN_ID": "x",
}  # fmt: skip
SRUN = {
    "SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1", "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_STEP_NODELIST": "gpu[03-04]", "SLURM_JOB_ID": "4711",
}  # fmt: skip


def test_torchrun_and_accelerate_launch_which_runs_it() -> None:
    assert found_place(TORCHRUN) == Place(3, 8, 1, 2, "node1", 1234, hosted=True, attempt=1, by="torchrun")


def test_srun() -> None:
    assert found_place(SRUN) == Place(5, 8, 1, 4, "gpu03", 34211, hosted=False, attempt=0, by="srun")


def test_torchrun_started_by_srun_is_torchrun() -> None:
    found = found_place({**SRUN, **TORCHRUN})
    assert found is not None and found.by == "torchrun"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SLURM_NTASKS": "8", "SLURM_PROCID": "0"},  # the script of a job, which no srun has started
        {**SRUN, "SLURM_STEP_NUM_TASKS": "1"},
    ],
)
def test_one_process_by_itself_has_no_place(environment: dict[str, str]) -> None:
    assert found_place(environment) is None


def test_half_an_environment_is_refused() -> None:
    with pytest.raises(UsageError, match="lacks LOCAL_RANK, MASTER_ADDR, MASTER_PORT"):
        found_place({"RANK": "0", "WORLD_SIZE": "2"})


@pytest.mark.parametrize(
    ("nodes", "first"), [("gpu[03-07,12],cpu1", "gpu03"), ("a1,a2", "a1"), ("n[7]", "n7"), ("alone", "alone"), ("", "")]
)
def test_the_first_machine_of_slurm_s_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first
