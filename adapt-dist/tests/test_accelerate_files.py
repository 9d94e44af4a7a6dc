"""Files that accelerate itself writes are read as what they say, or refused for what Adapt would not do."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerate.commands.config.cluster import get_cluster_input
from accelerate.commands.config.config_args import ClusterConfig
from accelerate.commands.config.default import write_basic_config
from accelerate.commands.menu import BulletMenu

from adapt_core.cli.app import command_line
from adapt_core.config.validate import validate_options
from adapt_core.errors import ConfigError
from adapt_core.plan.build import check
from adapt_dist.fsdp_options import FsdpOptions
from adapt_dist.options import DdpOptions, LaunchOptions

Write = Callable[..., str]

TWO_MACHINES = {
    "How many different machines": "2",
    "What is the IP address": "10.0.0.7",
    "What is the port": "4321",
    "should be used for distributed training": "8",
}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Write:
    """Answers the questions of ``accelerate config`` as a person would, and gives the file that it writes.

    Its arguments are what is chosen in menus and what is typed, by a part of the question; the rest is left as it is.
    """

    def write(kind: str = "multi-GPU", **typed: str) -> str:
        chosen = {"Which type of machine": kind, "mixed precision": "bf16", **typed}

        def answer(question: str = "") -> str:
            return next((text for part, text in typed.items() if part in question), "")

        def choose(menu: Any, default_choice: int = 0) -> int:
            found = (text for part, text in chosen.items() if part in menu.prompt)
            return next((list(map(str, menu.choices)).index(text) for text in found), default_choice)

        monkeypatch.setattr(builtins, "input", answer)
        monkeypatch.setattr(BulletMenu, "run", choose)
        file = tmp_path / "accelerate.yaml"
        get_cluster_input().to_yaml_file(file)
        return str(file)

    return write


def fsdp(written: Write, **typed: str) -> str:
    typed = {"FullyShardedDataParallel": "yes", "_no_split_modules": "yes", **typed}
    return written(**{"should be used for distributed training": "2", **typed})


def read(model: type[LaunchOptions], file: str, **given: Any) -> Any:
    return validate_options(model, {"accelerate_config": file, **given}, "launch")


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_file_for_fsdp_on_one_machine(written: Write, version: str) -> None:
    made = read(FsdpOptions, fsdp(written, **{"FSDP version": version, "offload parameters": "yes"}))
    assert (made.num_processes, made.num_nodes, made.mixed_precision) == (2, 1, "bf16")
    assert (made.sharding_strategy, made.offload_params) == ("FULL_SHARD", True)
    assert made.activation_checkpointing is False


def test_a_file_for_fsdp_on_two_machines_says_where_they_meet(
    written: Write, config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = fsdp(written, **TWO_MACHINES)
    made = read(FsdpOptions, file)
    assert (made.num_processes, made.num_nodes) == (4, 2)
    training = {**config["training"], "bf16": True}
    launch = {"name": "fsdp", "accelerate_config": file, "use_cpu": True}
    run = {**config, "training": training, "launch": launch, "output_dir": str(tmp_path / "run")}
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert command_line(["launch-command", str(tmp_path / "run.json")]) == 0
    printed = capsys.readouterr().out
    assert "export MASTER_ADDR=10.0.0.7\n" in printed
    assert printed.count("--nnodes 2 --nproc-per-node 4") == printed.count("--master-port 4321") == 2


@pytest.mark.parametrize("kind", ["multi-GPU", "multi-CPU"])
def test_a_file_for_ddp(written: Write, kind: str) -> None:
    made = read(DdpOptions, written(kind, **TWO_MACHINES))
    assert (made.num_processes, made.num_nodes, made.use_cpu) == (4, 2, kind == "multi-CPU")
    assert (made.main_process_ip, made.main_process_port) == ("10.0.0.7", 4321)


def test_what_the_file_says_of_recomputing_must_be_what_the_training_does(
    written: Write, config: dict[str, Any]
) -> None:
    launch = {"name": "fsdp", "accelerate_config": fsdp(written, **{"activation checkpointing": "yes"})}
    training = {**config["training"], "bf16": True}
    (problem,) = check({**config, "training": training, "launch": launch})
    assert problem.key == "launch.activation_checkpointing"
    assert problem.message.endswith("set training.gradient_checkpointing")
    assert not check({**config, "training": {**training, "gradient_checkpointing": True}, "launch": launch})


def test_precision_is_held_against_the_training_under_ddp_too(written: Write, config: dict[str, Any]) -> None:
    launch = {"name": "ddp", "accelerate_config": written(**{"should be used for distributed training": "2"})}
    (problem,) = check({**config, "launch": launch})
    assert problem.key == "launch.mixed_precision" and "set training.bf16" in problem.message


def test_a_file_for_the_other_launcher_names_it(written: Write) -> None:
    with pytest.raises(ConfigError, match=r"write launch\.name: fsdp"):
        read(DdpOptions, fsdp(written))
    with pytest.raises(ConfigError, match=r"write launch\.name: ddp"):
        read(FsdpOptions, written(**TWO_MACHINES))


def test_the_file_of_one_process_names_the_launcher_for_it(tmp_path: Path) -> None:
    file = write_basic_config(save_location=str(tmp_path / "default.json"))
    with pytest.raises(ConfigError, match=r"write launch\.name: local"):
        read(DdpOptions, str(file))


def test_a_value_that_is_refused_is_named_with_its_file(written: Write) -> None:
    file = fsdp(written, **{"FSDP version": "1", "sharding strategy": "HYBRID_SHARD"})
    with pytest.raises(ConfigError) as raised:
        read(FsdpOptions, file)
    assert f"{file}: sharding_strategy: it shards within machines" in str(raised.value)


@pytest.mark.parametrize("model", [DdpOptions, FsdpOptions])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"machine_rank": 1}, "adapt launch-command"),
        ({"same_network": False}, "must reach the address"),
        ({"gpu_ids": "0,1"}, "set CUDA_VISIBLE_DEVICES"),
        ({"enable_cpu_affinity": True}, "numactl"),
        ({"dynamo_config": {"dynamo_backend": "INDUCTOR"}}, "dynamo; remove it"),
        ({"parallelism_config": {"parallelism_config_tp_size": 2}}, "in no other way"),
        ({"mpirun_config": {"mpirun_hostfile": "hosts"}}, "torchrun's agent"),
        ({"tpu_name": "pod"}, "does not run on TPUs"),
    ],
)
def test_what_would_not_be_done_is_refused_with_the_reason(
    tmp_path: Path, model: type[LaunchOptions], changes: dict[str, Any], said: str
) -> None:
    given: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE", "distributed_type": "FSDP" if model is FsdpOptions else "MULTI_GPU",
        "mixed_precision": "no", "use_cpu": False, "debug": False, "num_machines": 2, "num_processes": 4,
        "same_network": True,
    }  # fmt: skip
    file = tmp_path / "accelerate.yaml"
    ClusterConfig(**given).to_yaml_file(file)
    read(model, str(file))
    ClusterConfig(**given | changes).to_yaml_file(file)
    with pytest.raises(ConfigError) as raised:
        read(model, str(file))
    assert f"{file}: {next(iter(changes))}" in str(raised.value) and said in str(raised.value)
