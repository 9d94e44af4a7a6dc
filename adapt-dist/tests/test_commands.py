"""What is printed for several machines is what torchrun, Slurm, Kubernetes and SkyPilot read."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch.distributed.run import get_args_parser

from adapt_core.cli.app import command_line
from adapt_dist.commands.job import Job
from adapt_dist.commands.systems import SYSTEMS

PAGE = Path(__file__).parents[2] / "docs" / "distributed.md"

Printed = Callable[..., str]

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


@pytest.fixture
def printed(config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Printed:
    """What ``adapt launch-command`` prints for a configuration file with these options of the launcher."""

    def of(system: str, nodes: int = 3, **launch: Any) -> str:
        file = tmp_path / "my run.json"
        file.write_text(
            json.dumps({**config, "launch": {"name": "ddp", **launch}, "output_dir": str(tmp_path / "run")})
        )
        code = command_line(["launch-command", str(file), "training.lr=1e-3", "--nodes", str(nodes), "--for", system])
        found = capsys.readouterr()
        return found.out if code == 0 else found.err

    return of


OPTIONS: dict[str, Any] = {
    "num_processes": 4, "max_restarts": 2, "start_timeout": 59.5, "main_process_ip": "10.0.0.7",
    "main_process_port": 4321,
}  # fmt: skip


def require_mapped(found: Any, folder: Path) -> None:
    """The options of :data:`OPTIONS`, in a command that torchrun has read."""
    assert (found.nnodes, found.nproc_per_node, found.max_restarts) == ("3", "4", 2)
    assert (found.rdzv_conf, found.shutdown_timeout) == ("timeout=60", 120)
    assert (found.log_dir, found.module) == (str(folder / "run" / "logs"), True)
    file = str(folder / "my run.json")
    command = ["adapt_core.cli", "run", file, "training.lr=1e-3", "launch.num_nodes=3"]
    assert [found.training_script, *found.training_script_args] == command


def expanded(command: str, **environment: str) -> Any:
    """A command as torchrun reads it once a shell has filled in its variables."""
    shown = subprocess.run(
        ["bash", "-c", f"torchrun() {{ printf '%s\\n' \"$@\"; }}; {command.removeprefix('exec ')}"],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return get_args_parser().parse_args(shown)


def test_the_options_become_torchrun_s(printed: Printed, tmp_path: Path) -> None:
    shown = printed("torchrun", **OPTIONS).splitlines()
    assert "export MASTER_ADDR=10.0.0.7" in shown
    commands = [expanded(line, MASTER_ADDR="there") for line in shown if line.startswith("torchrun")]
    assert [found.node_rank for found in commands] == [0, 1, 2]
    for found in commands:
        require_mapped(found, tmp_path)
        assert (found.master_addr, found.master_port) == ("there", 4321)


def test_machines_that_number_themselves_wait_as_long(printed: Printed) -> None:
    *_, line = [each for each in printed("torchrun", **OPTIONS, rdzv_backend="c10d").splitlines() if each]
    found = expanded(line, MASTER_ADDR="there")
    assert (found.rdzv_backend, found.rdzv_endpoint) == ("c10d", "there:4321")
    assert found.rdzv_conf == "join_timeout=60,read_timeout=60"


def test_the_options_become_slurm_s(printed: Printed, tmp_path: Path) -> None:
    script = printed("slurm", **OPTIONS)
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    options = [line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH")]
    assert set(options) == {"job-name=adapt-run", "nodes=3", "ntasks-per-node=1", "gpus-per-node=4", "signal=TERM@120"}
    (step,) = [line for line in script.splitlines() if line.startswith("srun")]
    found = expanded(shlex.split(step)[-1], SLURM_NODEID="2", MASTER_ADDR="node1", MASTER_PORT="1234")
    require_mapped(found, tmp_path)
    assert (found.node_rank, found.master_addr, found.master_port) == (2, "node1", 1234)


def test_the_options_become_kubernetes_s(printed: Printed, tmp_path: Path) -> None:
    service, workload = yaml.safe_load_all(printed("kubernetes", **OPTIONS))
    spec = workload["spec"]
    assert (service["kind"], workload["kind"], spec["completionMode"]) == ("Service", "Job", "Indexed")
    assert spec["completions"] == spec["parallelism"] == 3
    pod = spec["template"]["spec"]
    assert (pod["subdomain"], service["metadata"]["name"]) == ("adapt-run", "adapt-run")
    assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
    assert pod["terminationGracePeriodSeconds"] == 120
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 4}
    found = expanded(container["command"][-1], JOB_COMPLETION_INDEX="1")
    require_mapped(found, tmp_path)
    assert (found.node_rank, found.master_addr, found.master_port) == (1, "adapt-run-0.adapt-run", 4321)


def test_the_options_become_skypilot_s(printed: Printed, tmp_path: Path) -> None:
    task = yaml.safe_load(printed("skypilot", **OPTIONS))
    assert (task["name"], task["num_nodes"], task["resources"]["accelerators"]) == ("adapt-run", 3, "H100:4")
    found = expanded(task["run"], SKYPILOT_NODE_RANK="1", SKYPILOT_NODE_IPS="10.0.0.1\n10.0.0.2")
    require_mapped(found, tmp_path)
    assert (found.node_rank, found.master_addr, found.master_port) == (1, "10.0.0.1", 4321)


def test_torchrun_is_what_a_pod_runs_so_that_signals_reach_it(printed: Printed, tmp_path: Path) -> None:
    """The shell around it is gone."""
    *_, workload = yaml.safe_load_all(printed("kubernetes", **OPTIONS))
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    program = tmp_path / "torchrun"
    program.write_text("#!/bin/sh\necho $$\n")
    program.chmod(0o755)
    shell, *arguments = container["command"]
    assert arguments[-1].startswith("exec torchrun ")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "JOB_COMPLETION_INDEX": "0"}
    process = subprocess.Popen([shell, *arguments], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.communicate()[0] == f"{process.pid}\n"


@pytest.mark.parametrize("system", [*SYSTEMS])
def test_on_the_cpu_the_number_of_processes_must_be_given(printed: Printed, system: str) -> None:
    assert "launch.num_processes is not given" in printed(system, use_cpu=True)
    assert "--nproc-per-node 2 " in printed(system, use_cpu=True, num_processes=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "said"),
    [("static", "waiting for clients. 1/2 clients joined."), ("c10d", "RendezvousTimeoutError")],
)
def test_a_machine_waits_no_longer_for_the_others_than_it_was_told(printed: Printed, backend: str, said: str) -> None:
    """torchrun waits before there are processes, and says by itself that it waits in vain."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = {"use_cpu": True, "num_processes": 1, "start_timeout": 2, "main_process_port": port}
    shown = printed("torchrun", 2, **launch, rdzv_backend=backend, main_process_ip="127.0.0.1")
    (address,) = [line for line in shown.splitlines() if line.startswith("export")]
    first = next(line for line in shown.splitlines() if line.startswith("torchrun"))
    command = first.replace("torchrun", f"{shlex.quote(sys.executable)} -m torch.distributed.run", 1)
    done = subprocess.run(
        ["bash", "-c", f"{address}; {command}"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]


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


@pytest.mark.parametrize("system", ["torchrun", "slurm", "kubernetes"])
def test_the_documentation_shows_what_is_printed(
    system: str,
    config: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(
        yaml.safe_dump({**config, "launch": {"name": "fsdp", "num_processes": 8}, "output_dir": "runs/big"})
    )
    assert command_line(["launch-command", "run.yaml", "--nodes", "2", "--for", system]) == 0
    assert capsys.readouterr().out.strip() in PAGE.read_text(encoding="utf-8")
