"""What cannot work together is said when a configuration is checked; what surrounds a process is held against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapt_core.api import plan_of
from adapt_core.errors import AdaptError
from adapt_core.plan.build import check
from adapt_dist.accelerate_file import options_of
from adapt_dist.failures import is_echo
from adapt_dist.fsdp_options import FsdpOptions
from adapt_dist.joining import join
from adapt_dist.options import LaunchOptions
from adapt_dist.place import Place

FILE = """\
distributed_type: FSDP
fsdp_config:
  fsdp_reshard_after_forward: false
  fsdp_state_dict_type: FULL_STATE_DICT
  fsdp_version: 2
num_machines: 2
num_processes: 8
"""


def launched(config: dict[str, Any], **launch: Any) -> dict[str, Any]:
    return {**config, "launch": {"name": "fsdp", **launch}}


@pytest.mark.parametrize(
    ("training", "asked", "write"),
    [({}, "bf16", "set training.bf16"), ({"bf16": True}, "no", "remove training.bf16")],
)
def test_two_precisions_are_refused(config: dict[str, Any], training: Any, asked: str, write: str) -> None:
    made = launched({**config, "training": {**config["training"], **training}}, mixed_precision=asked)
    (problem,) = check(made)
    assert problem.key == "launch.mixed_precision" and write in problem.message


def test_one_precision_in_both_places_is_accepted(config: dict[str, Any]) -> None:
    made = launched({**config, "training": {**config["training"], "bf16": True}}, mixed_precision="bf16")
    assert not check(made)


def test_a_method_that_does_not_train_sharded_is_refused(config: dict[str, Any]) -> None:
    (problem,) = check(launched({**config, "method": "adalora"}))
    assert "adalora does not train with sharded models" in problem.message


def test_the_flat_parameters_choose_the_launcher(config: dict[str, Any]) -> None:
    flat = {key: value for key, value in config.items() if key != "launch"}
    ddp = plan_of({**flat, "DDP": True, "num_nodes": 2, "num_processes": 4})
    assert (ddp.launcher.spec.name, ddp.launcher.options.num_nodes) == ("ddp", 2)  # type: ignore[attr-defined]
    assert ddp.launcher.make().size == 8
    fsdp = plan_of({**flat, "FSDP": True, "fsdp_sharding_strategy": "SHARD_GRAD_OP"})
    assert fsdp.launcher.options.sharding_strategy == "SHARD_GRAD_OP"  # type: ignore[attr-defined]
    (problem,) = check({**flat, "DDP": True, "FSDP": True})
    assert problem.code == "given-twice"


def test_accelerate_s_file_is_read_and_keys_of_the_configuration_go_before(tmp_path: Path) -> None:
    file = tmp_path / "accelerate.yaml"
    file.write_text(FILE)
    made = FsdpOptions(accelerate_config=str(file), state_dict_type="SHARDED_STATE_DICT")
    assert (made.sharding_strategy, made.num_nodes, made.num_processes) == ("SHARD_GRAD_OP", 2, 4)
    assert made.state_dict_type == "SHARDED_STATE_DICT"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("\nenable_cpu_affinity: true", "enable_cpu_affinity"),
        ("\nnum_processes: 7", "cannot share evenly"),
        ("\n- a", "read"),
    ],
)
def test_what_cannot_be_read_of_it_is_said(change: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "accelerate.yaml"
    file.write_text(FILE + change)
    names = {name: name for name in ("distributed_type", "num_machines", "num_processes", "fsdp_state_dict_type")}
    with pytest.raises(ValueError, match=reason):
        options_of(str(file), {**names, "fsdp_sharding_strategy": "sharding_strategy"})


def test_processes_that_do_not_come_are_named_with_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # restored afterwards
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = Place(0, 3, 0, 3, "127.0.0.1", port, hosted=False, attempt=0, by="the test")
    with pytest.raises(AdaptError, match=rf"at 127\.0\.0\.1:{port}, ranks 1, 2 did not come within 0\.5 s"):
        join(place, LaunchOptions(start_timeout=0.5, use_cpu=True), None, {})
    away = Place(1, 3, 1, 3, "127.0.0.1", port, hosted=False, attempt=0, by="the test")
    with pytest.raises(AdaptError, match=rf"Process 1 of 3 does not reach the others at 127\.0\.0\.1:{port}"):
        join(away, LaunchOptions(start_timeout=0.5, use_cpu=True), None, {})


@pytest.mark.parametrize(
    ("message", "echo"),
    [
        ("[../third_party/gloo/gloo/transport/tcp/pair.cc:538] Connection closed by peer [127.0.0.1]:42", True),
        ("[pair.cc:554] Read error [127.0.0.1]:42: Connection reset by peer", True),
        ("[unbound_buffer.cc:81] Timed out waiting 20000ms for recv operation to complete", True),
        ("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", False),
    ],
)
def test_the_echo_of_another_process_s_end_is_no_reason(message: str, echo: bool) -> None:
    assert is_echo(RuntimeError(message)) is echo
    assert not is_echo(ValueError(message))
