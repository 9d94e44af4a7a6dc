"""Runs around which torchrun or accelerate launch has started the processes, by the commands themselves."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapt_core.cli.app import command_line

pytestmark = pytest.mark.slow

OPTIMIZER = """
import os
from torch.optim import SGD

class FailsInOne(SGD):
    steps = 0

    def step(self, *given, **named):
        FailsInOne.steps += 1
        if os.environ["RANK"] == "1" and FailsInOne.steps > 3:
            raise ValueError("the row is wrong")
        return super().step(*given, **named)
"""


def written(config: dict[str, Any], folder: Path, **changes: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps({**config, "output_dir": str(folder / "run"), **changes}))
    return file


def done(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])
    environment = {**os.environ, "PYTHONPATH": path, "MASTER_ADDR": "127.0.0.1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_the_error_of_any_process_is_what_is_shown_first(
    config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the printed command, under which only the main process is on the terminal."""
    (tmp_path / "failing.py").write_text(OPTIMIZER)
    training = {**config["training"], "optimizer": "failing:FailsInOne"}
    file = written(config, tmp_path, training=training)
    assert command_line(["launch-command", str(file), "--nodes", "1"]) == 0
    (command,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("torchrun")]
    command = command.replace("torchrun", f"{shlex.quote(sys.executable)} -m torch.distributed.run", 1)
    shown = done(["bash", "-c", command], tmp_path)
    assert shown.returncode == 1
    first = next(line for line in shown.stderr.splitlines() if "Error" in line or "failed" in line)
    assert "Process 1 of 2 failed: ValueError: the row is wrong" in first
    *_, summary = shown.stderr.partition("Root Cause")
    assert "ValueError: the row is wrong" in summary


def test_fewer_machines_than_were_asked_for_do_not_run(config: dict[str, Any], tmp_path: Path) -> None:
    file = written(config, tmp_path, launch={"name": "ddp", "num_nodes": 2, "use_cpu": True})
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    shown = done([*torchrun, "-m", "adapt_core.cli", "run", str(file)], tmp_path)
    assert shown.returncode == 1
    assert "2 machines were asked for (launch.num_nodes), and 2 processes on 1 machine run" in shown.stderr
    assert not (tmp_path / "run").exists()


def test_accelerate_launch_is_held_against_the_configuration(config: dict[str, Any], tmp_path: Path) -> None:
    """By the command itself, whose processes Adapt recognises."""
    file = written(config, tmp_path, launch={"name": "fsdp", "use_cpu": True})
    launch = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--use_fsdp"]
    launch += ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no", "--main_process_port", "0"]
    launch += ["--fsdp_offload_params", "true", "--module", "adapt_core.cli", "run", str(file)]
    shown = done(launch, tmp_path)
    assert shown.returncode != 0
    assert "asks for FSDP_OFFLOAD_PARAMS=true, and launch.offload_params is False" in " ".join(shown.stderr.split())
    assert "Write launch.offload_params=true" in " ".join(shown.stderr.split())
    assert not (tmp_path / "run").exists()
