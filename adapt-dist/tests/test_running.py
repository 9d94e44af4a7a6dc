"""Runs by the command: stopped, resumed elsewhere, and started by torchrun."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import adapt_core
from adapt_core.pipeline import saving

pytestmark = pytest.mark.slow


@pytest.fixture
def no_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_differences", lambda *_: {"model": 0.0})


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def checkpoints(run: Path) -> list[int]:
    return sorted(int(each.parent.name.split("-")[1]) for each in run.glob("checkpoints/*/complete.json"))


def test_ctrl_c_leaves_one_checkpoint_from_which_one_process_comes_to_the_same_end(
    config: dict[str, Any], tmp_path: Path, no_reload: None
) -> None:
    """As in a terminal, where every process of the group gets the signal."""
    run = tmp_path / "run"
    training = {**config["training"], "interval": "steps", "interval_steps": 1000, "epochs": 12, "do_eval": False}
    (tmp_path / "config.json").write_text(json.dumps({**config, "training": training, "output_dir": str(run)}))
    process = subprocess.Popen(
        [sys.executable, "-m", "adapt_core.cli", "run", str(tmp_path / "config.json")],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 400
    while not (run / "metrics.jsonl").is_file() or len(lines(run)) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, shown = process.communicate(timeout=200)
    assert process.returncode == 130, shown[-3000:]
    (step,) = checkpoints(run)
    assert f"after step {step} of 192; the state of step {step} is saved" in " ".join(shown.split())
    assert f"Continue with: adapt run {run} --resume" in " ".join(shown.split())
    assert "DDP: 2 processes on one machine over gloo: cpu, cpu" in shown
    assert {each.name for each in (run / "logs" / "1").iterdir()} >= {"rank-0.err", "rank-1.err"}

    with pytest.raises(adapt_core.AdaptError, match="processes: 16 in the run, 8 now"):
        adapt_core.run(run, ["launch.name=local"], resume=True)
    adapt_core.run(run, ["launch.name=local", "training.batch_size=16"], resume=True)
    whole = {**config, "training": {**training, "batch_size": 16}, "launch": "local"}
    adapt_core.run({**whole, "output_dir": str(tmp_path / "whole")})
    expected, found = lines(tmp_path / "whole"), lines(run)
    assert [line["step"] for line in found] == [line["step"] for line in expected]
    for line, other in zip(expected, found, strict=True):
        # Sums over two processes round otherwise, which Adam's steps carry on: 2e-4 after all 192.
        assert other["loss"] == pytest.approx(line["loss"], abs=1e-3), f"step {line['step']}"


def test_torchrun_around_it_is_recognised_and_nothing_is_started_twice(config: dict[str, Any], tmp_path: Path) -> None:
    """One process claims the folder, writes the results and prints them."""
    run = tmp_path / "run"
    (tmp_path / "config.json").write_text(json.dumps({**config, "output_dir": str(run)}))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    torchrun += ["--log-dir", str(run / "logs"), "--redirects", "1:3"]
    command = [*torchrun, "-m", "adapt_core.cli", "run", str(tmp_path / "config.json"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert result["status"] == "completed" and len(result["peak_memory_bytes_by_process"]) == 2
    assert "DDP: 2 processes on one machine over gloo: cpu, cpu (started by torchrun)" in done.stderr
    environment = json.loads((run / "environment.json").read_text())
    assert environment["world"]["processes"] == 2


def test_fsdp_of_one_process_ends_as_one_without_a_launcher(config: dict[str, Any], tmp_path: Path) -> None:
    """Its parameters are in shards all the same, and are gathered before they are saved."""
    training = {**config["training"], "max_steps": 4}
    alone = {**config, "method": "full", "training": training}
    sharded = {**alone, "launch": {"name": "fsdp", "num_processes": 1, "use_cpu": True}}
    result = adapt_core.run({**sharded, "output_dir": str(tmp_path / "sharded")})
    adapt_core.run({**alone, "launch": "local", "output_dir": str(tmp_path / "alone")})
    assert result["reload_difference"]["model"] == 0
    found, expected = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("sharded", "alone"))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-4)
