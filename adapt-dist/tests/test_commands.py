"""What is printed for several machines is what torchrun, Slurm, Kubernetes and SkyPilot read."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch.distributed.run import get_args_parser

from adapt_dist.commands.job import Job
from adapt_dist.commands.systems import SYSTEMS

COMMAND = ("adapt", "run", "my run.yaml", "launch.num_nodes=3")


def job(**changes: Any) -> Job:
    given: dict[str, Any] = {"name": "adapt-run", "command": COMMAND, "nodes": 3, "processes": 4, "use_cpu": False}
    given |= {"max_restarts": 2, "rdzv_backend": "static", "start_timeout": 60.0, "logs": "runs/my run/logs"}
    return Job(**(given | changes))


def read(command: str) -> Any:
    """A command as torchrun itself reads it."""
    name, *arguments = shlex.split(command)
    assert name == "torchrun"
    return get_args_parser().parse_args(arguments)


def test_torchrun_reads_a_command_for_each_machine() -> None:
    commands = [line for line in SYSTEMS["torchrun"](job()).splitlines() if line.startswith("torchrun")]
    for number, found in enumerate(map(read, commands)):
        assert (found.nnodes, found.nproc_per_node, found.node_rank) == ("3", "4", number)
        assert (found.master_addr, found.max_restarts, found.log_dir) == ("$MASTER_ADDR", 2, "runs/my run/logs")
        assert [found.training_script, *found.training_script_args] == ["adapt_core.cli", *COMMAND[1:]]
    assert len(commands) == 3


def test_machines_that_number_themselves_have_one_command() -> None:
    commands = [line for line in SYSTEMS["torchrun"](job(rdzv_backend="c10d")).splitlines() if "--rdzv-id" in line]
    assert len(set(commands)) == 1
    found = read(commands[0])
    assert (found.rdzv_backend, found.rdzv_endpoint, found.rdzv_id) == ("c10d", "$MASTER_ADDR:29500", "adapt-run")


def test_without_a_number_of_processes_there_is_one_for_each_gpu() -> None:
    assert read(job(processes=None).torchrun("0", "here")).nproc_per_node == "gpu"


def test_slurm_s_script_is_one_of_bash_with_a_torchrun_on_each_machine() -> None:
    script = SYSTEMS["slurm"](job())
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    options = [line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH")]
    assert {"nodes=3", "ntasks-per-node=1", "gpus-per-node=4", "signal=TERM@120"} <= set(options)
    (step,) = [line for line in script.splitlines() if line.startswith("srun")]
    *_, inner = shlex.split(step)
    shown = subprocess.run(
        ["bash", "-c", f"torchrun() {{ printf '%s\\n' \"$@\"; }}; {inner}"],
        env={"SLURM_NODEID": "2", "MASTER_ADDR": "node1", "MASTER_PORT": "1234"},
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    found = get_args_parser().parse_args(shown)
    assert (found.node_rank, found.master_addr, found.master_port) == (2, "node1", 1234)
    assert found.training_script_args[-2:] == ["my run.yaml", "launch.num_nodes=3"]


def test_kubernetes_gets_a_service_and_an_indexed_job() -> None:
    service, workload = yaml.safe_load_all(SYSTEMS["kubernetes"](job()))
    spec = workload["spec"]
    assert (service["kind"], workload["kind"], spec["completionMode"]) == ("Service", "Job", "Indexed")
    assert spec["completions"] == spec["parallelism"] == 3
    pod = spec["template"]["spec"]
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 4}
    assert "--master-addr adapt-run-0.adapt-run" in container["command"][-1]


def test_skypilot_gets_a_task() -> None:
    task = yaml.safe_load(SYSTEMS["skypilot"](job(processes=None)))
    assert (task["num_nodes"], task["resources"]["accelerators"]) == (3, "H100:8")
    assert '--node-rank "$SKYPILOT_NODE_RANK"' in task["run"]
    assert '--nproc-per-node "$SKYPILOT_NUM_GPUS_PER_NODE"' in task["run"]


def test_skypilot_takes_the_folders_along_that_adapt_was_installed_from() -> None:
    """Those of this repository, or with an Adapt from an index its names."""
    from adapt_core.plugins.installation import source_folder

    task = yaml.safe_load(SYSTEMS["skypilot"](job()))
    first, second, *places = task["setup"].split()
    assert (first, second) == ("pip", "install")
    packages = ["adapt-core", "adapt-nlp", "adapt-vision", "adapt-quant", "adapt-dist"]
    assert [place.removeprefix("~/") for place in places] == packages
    mounts = task.get("file_mounts", {})
    assert [place for place in places if place.startswith("~")] == list(mounts)
    if (folder := source_folder("adapt-core")) is not None:
        assert mounts["~/adapt-core"] == str(folder)
        assert all((Path(each) / "pyproject.toml").is_file() for each in mounts.values())


@pytest.mark.parametrize("system", ["slurm", "kubernetes", "skypilot"])
def test_an_assumed_number_of_gpus_is_called_one(system: str) -> None:
    said = "# Each machine is taken to have 8 GPUs; launch.num_processes gives another number."
    assert said in SYSTEMS[system](job(processes=None)).splitlines()
    assert said not in SYSTEMS[system](job()) + SYSTEMS[system](job(processes=None, use_cpu=True))


@pytest.mark.parametrize("system", ["slurm", "kubernetes", "skypilot"])
def test_a_run_on_the_cpu_asks_for_no_gpu(system: str) -> None:
    assert not {"gpu", "accelerators"} & set(SYSTEMS[system](job(use_cpu=True)).replace("-", " ").split())
