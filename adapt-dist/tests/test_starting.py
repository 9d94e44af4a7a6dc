"""Processes are started, found to be the ones asked for, and ended together."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import jobs
import pytest
from torch.distributed.elastic.multiprocessing.api import MultiprocessContext

from adapt_core.errors import AdaptError, UsageError
from adapt_core.launchers.local import Local
from adapt_core.options import NoOptions
from adapt_core.testing import LauncherContract
from adapt_dist.launcher import Ddp
from adapt_dist.options import DdpOptions

TWO: dict[str, Any] = {"num_processes": 2, "use_cpu": True}


@pytest.mark.slow
class TestDdp(LauncherContract):
    launcher = "ddp"
    options: ClassVar[Mapping[str, Any]] = TWO
    size = 2


@pytest.mark.slow
def test_the_error_of_one_process_ends_all_with_its_reason(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AdaptError) as raised:
        Ddp(DdpOptions(**TWO)).launch(jobs.fail_in_one, None)  # type: ignore[arg-type]
    assert raised.value.message == "Process 1 of 2 failed: the row is wrong"
    assert raised.value.hint == "mend it"
    assert "DDP: 2 processes on one machine over gloo: cpu, cpu" in capfd.readouterr().err


@pytest.mark.slow
def test_an_error_of_python_s_ends_all_and_names_its_log() -> None:
    with pytest.raises(AdaptError, match=r"Process 1 of 2 failed: KeyError: 'no such key'") as raised:
        Ddp(DdpOptions(**TWO)).launch(jobs.fail_unexpectedly_in_one, None)  # type: ignore[arg-type]
    assert re.search(r"printed is in .*logs/1", raised.value.hint)


@pytest.mark.slow
def test_a_killed_process_ends_all_within_seconds(tmp_path: Path) -> None:
    """And not after the timeout of a collective, which is half an hour."""
    mark = tmp_path / "killed"
    with pytest.raises(AdaptError, match=r"Process 1 of 2 was ended by SIGKILL \(out of memory, perhaps\)"):
        Ddp(DdpOptions(**TWO)).launch(jobs.die_in_one, str(mark))  # type: ignore[arg-type]
    assert time.time() - float(mark.read_text()) < 20


@pytest.mark.slow
def test_a_process_that_is_deaf_to_the_end_of_another_ends_within_seconds(tmp_path: Path) -> None:
    mark = tmp_path / "killed"
    with pytest.raises(AdaptError, match="Process 1 of 2 was ended by SIGKILL"):
        Ddp(DdpOptions(**TWO)).launch(jobs.die_in_one_beside_a_deaf_one, str(mark))  # type: ignore[arg-type]
    assert time.time() - float(mark.read_text()) < 20


@pytest.mark.slow
def test_a_process_that_is_killed_when_all_are_done_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the last look at the processes and the word that they may end."""
    is_done = MultiprocessContext._is_done

    def is_done_and_killed(context: Any) -> bool:
        done = is_done(context)
        if done:
            os.kill(context.pids()[1], signal.SIGKILL)
            time.sleep(0.5)
        return done

    def too_long(*_: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(MultiprocessContext, "_is_done", is_done_and_killed)
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(120)
    try:
        with pytest.raises(AdaptError, match="Process 1 of 2 was ended by SIGKILL"):
            Ddp(DdpOptions(**TWO)).launch(jobs.rank_of, None)  # type: ignore[arg-type]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
def test_it_is_started_anew_as_often_as_the_options_allow() -> None:
    found: Any = Ddp(DdpOptions(**TWO, max_restarts=1)).launch(jobs.die_once, None)  # type: ignore[arg-type]
    assert found == [1, 0, 1]


def test_without_a_gpu_it_asks_how_many_processes_there_are_to_be() -> None:
    with pytest.raises(UsageError, match=r"launch\.num_processes is not given"):
        Ddp(DdpOptions(use_cpu=True)).launch(jobs.fail_in_one, None)  # type: ignore[arg-type]


def test_several_machines_are_not_started_from_one() -> None:
    with pytest.raises(UsageError, match="every machine must start its own processes") as raised:
        Ddp(DdpOptions(**TWO, num_nodes=2)).launch(jobs.fail_in_one, None)  # type: ignore[arg-type]
    assert "adapt launch-command" in raised.value.hint


@pytest.mark.parametrize("name", ["WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_one_process_refuses_to_be_one_of_several(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "2")
    with pytest.raises(UsageError, match=rf"one of 2 \({name}=2\), and launch\.name is local"):
        Local(NoOptions()).attached()


PARENT = """
import multiprocessing, os, signal, sys, time
from pathlib import Path
import jobs
child = multiprocessing.get_context("spawn").Process(target=jobs.left_alone, args=(sys.argv[1],))
child.start()
print(child.pid, flush=True)
while not Path(sys.argv[1], "begun").exists():
    time.sleep(0.02)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_whose_parent_died_before_it_began_does_not_begin(tmp_path: Path) -> None:
    """The kernel ends a process with its parent only after it was asked to."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while Path("/proc", done.stdout.strip()).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not (tmp_path / "went on").exists()
    assert (tmp_path / "begun").exists()
