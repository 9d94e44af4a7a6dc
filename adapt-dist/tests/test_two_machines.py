"""Two network namespaces are two machines: a run across them by the printed commands, and what a cut link does."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapt_core.cli.app import command_line

pytestmark = pytest.mark.slow

NAMES, ADDRESSES = ("adapt-one", "adapt-two"), ("10.77.0.1", "10.77.0.2")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def machines() -> Iterator[tuple[str, str]]:
    """The names of the namespaces."""
    try:
        ip("netns", "add", NAMES[0])
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("making network namespaces is not allowed here")
    try:
        ip("netns", "add", NAMES[1])
        ip("link", "add", "link0", "netns", NAMES[0], "type", "veth", "peer", "name", "link0", "netns", NAMES[1])
        for name, address in zip(NAMES, ADDRESSES, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "link0")
            ip("-n", name, "link", "set", "link0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield NAMES
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def started(machine: str, command: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "MASTER_ADDR": ADDRESSES[0], "GLOO_SOCKET_IFNAME": "link0"}
    command = command.replace("torchrun", f"{shlex.quote(sys.executable)} -m torch.distributed.run", 1)
    return subprocess.Popen(
        ["ip", "netns", "exec", machine, "bash", "-c", command],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def printed(capsys: pytest.CaptureFixture[str], file: Path, *overrides: str) -> list[str]:
    """The command of each machine."""
    assert command_line(["launch-command", str(file), *overrides, "--nodes", "2", "--for", "torchrun"]) == 0
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("torchrun")]


def test_cutting_the_link_ends_a_run_and_restoring_it_lets_it_go_on(
    machines: tuple[str, str], config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    training = {**config["training"], "interval": "steps", "interval_steps": 5, "epochs": 20, "do_eval": False}
    launch = {**config["launch"], "num_processes": 1, "timeout": 15, "start_timeout": 200}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**config, "training": training, "launch": launch, "output_dir": str(run)}))
    commands = printed(capsys, file)
    processes = [started(machine, command) for machine, command in zip(machines, commands, strict=True)]
    deadline = time.monotonic() + 400
    while not list(run.glob("checkpoints/*/complete.json")):
        assert all(each.poll() is None for each in processes) and time.monotonic() < deadline
        time.sleep(0.05)
    ip("-n", machines[0], "link", "set", "link0", "down")
    shown = [each.communicate(timeout=300)[0] for each in processes]
    assert all(each.returncode == 1 for each in processes)
    logs = "".join(each.read_text() for each in run.glob("logs/**/*.log"))
    assert "of 2 lost the others" in " ".join((*shown, logs)), (shown, logs)
    assert not (run / "result.json").exists()

    ip("-n", machines[0], "link", "set", "link0", "up")
    again = [f"{command} --resume" for command in printed(capsys, file, "training.epochs=20")]
    processes = [started(machine, command) for machine, command in zip(machines, again, strict=True)]
    shown = [each.communicate(timeout=500)[0] for each in processes]
    assert [each.returncode for each in processes] == [0, 0], shown
    assert json.loads((run / "result.json").read_text())["steps"] == 20 * 16
