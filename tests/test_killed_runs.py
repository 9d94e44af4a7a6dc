"""Processes of a run are killed or fail, or a person stops it: what the run says, and that it comes to its end.

Those of two processes that nothing disturbs export what they trained, and load all that is saved again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from launched_parts import write_encoder, write_texts
from safetensors.torch import load_file

import adapt_core
from adapt_core.pipeline import saving

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TESTS = Path(__file__).parent
TWO = {"num_processes": 2, "use_cpu": True}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """12 steps of 8 rows, those of an epoch's end of 5; a checkpoint after every third."""
    folder = tmp_path_factory.mktemp("parts")
    write_encoder(folder / "encoder")
    write_texts(folder / "rows.csv", 50)
    return {
        "task": "text_classification",
        "model": {"path": str(folder / "encoder")},
        "dataset": {"path": str(folder / "rows.csv")},
        "method": {"name": "lora", "r": 4, "dropout": 0.0},
        "training": {
            "epochs": 2, "batch_size": 8, "lr": 5e-3, "num_workers": 0, "logging_steps": 1, "interval": "steps",
            "interval_steps": 3, "optimizer_options": {"eps": 1e-2}, "trackers": ["launched_faults:Fault"],
        },
        "save": "safetensors",
    }  # fmt: skip


def of_two(config: Mapping[str, Any], launcher: str, folder: Path, **options: Any) -> dict[str, Any]:
    training = {**config["training"], "batch_size": 4}
    return {**config, "training": training, "launch": {"name": launcher, **TWO, **options}, "output_dir": str(folder)}


@pytest.fixture(scope="module")
def whole(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs that nothing disturbs, in one process and in two, by launcher."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saving, "_differences", lambda *_: {"model": 0.0})
        adapt_core.run({**config, "output_dir": str(folder / "local")})
    for launcher in ("ddp", "fsdp"):
        adapt_core.run(of_two(config, launcher, folder / launcher))
    return {name: folder / name for name in ("local", "ddp", "fsdp")}


def command(*arguments: str | Path, faults: str = "") -> subprocess.Popen[str]:
    """``adapt run`` in a group of processes of its own."""
    paths = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, "FAULTS": faults}
    words = [sys.executable, "-m", "adapt_core.cli", "run", *map(str, arguments)]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code, and what was shown, with one space between words."""
    _, shown = process.communicate(timeout=300)
    return process.returncode, " ".join(shown.split())


def weights(run: Path, name: str = "model") -> dict[str, torch.Tensor]:
    (file,) = (run / name).glob("*.safetensors")
    return load_file(file)


def largest_difference(run: Path, other: Path, name: str = "model") -> float:
    found, expected = weights(run, name), weights(other, name)
    assert found.keys() == expected.keys() and found
    return max(float((each - expected[key]).abs().max()) for key, each in found.items())


def begun(run: Path) -> list[int]:
    """After how many steps each attempt began."""
    return [int(each.read_text()) for each in sorted(run.glob("begun-*.txt"))]


def logged(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("launcher", ["ddp", "fsdp"])
def test_what_two_processes_export_is_what_one_does_and_loads_again(launcher: str, whole: dict[str, Path]) -> None:
    result = json.loads((whole[launcher] / "result.json").read_text())
    assert result["reload_difference"] == {"model": 0.0, "export": pytest.approx(0.0, abs=1e-5)}
    assert not any("lora" in name for name in weights(whole[launcher], "export"))
    assert largest_difference(whole[launcher], whole["local"], "export") < 1e-5
    assert largest_difference(whole[launcher], whole["local"]) < 1e-5


def test_a_run_goes_on_by_itself_where_processes_are_killed(
    config: dict[str, Any], whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One before the first step, the main one while it saves, and one in the middle of a step."""
    monkeypatch.setenv("FAULTS", "0:1:start:0,1:0:save:6,2:1:step:7")
    run = tmp_path / "run"
    adapt_core.run(of_two(config, "fsdp", run, max_restarts=3))
    assert begun(run) == [0, 0, 3, 6]
    assert largest_difference(run, whole["fsdp"]) == 0
    found, expected = ([(line["step"], line.get("loss")) for line in logged(each)] for each in (run, whole["fsdp"]))
    assert found == expected


@pytest.mark.usefixtures("no_reload")
def test_a_run_in_which_a_process_fails_says_why_and_goes_on_with_as_many_or_with_one(
    config: dict[str, Any], whole: dict[str, Path], tmp_path: Path
) -> None:
    run, alone = tmp_path / "run", tmp_path / "alone"
    (tmp_path / "run.json").write_text(json.dumps(of_two(config, "ddp", run)))
    code, shown = ended(command(tmp_path / "run.json", faults="0:1:raise:7"))
    assert code == 1
    assert "Process 1 of 2 failed: ValueError: the tracker is broken" in shown
    assert f"What every process printed is in {run}/logs/1" in shown
    shutil.copytree(run, alone)

    code, shown = ended(command(run, "--resume"))
    assert code == 0, shown[-3000:]
    assert "goes on from checkpoint-6" in shown and begun(run) == [6]
    assert largest_difference(run, whole["ddp"]) == 0
    adapt_core.run(alone, ["launch.name=local", "training.batch_size=8"], resume=True)
    assert begun(alone) == [6]
    assert largest_difference(alone, whole["ddp"]) < 1e-6


def test_ctrl_c_leaves_one_checkpoint_of_a_sharded_run_and_says_how_to_go_on(
    config: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    training = {**config["training"], "epochs": 40, "interval_steps": 1000, "do_eval": False}
    (tmp_path / "run.json").write_text(json.dumps(of_two({**config, "training": training}, "fsdp", run)))
    process = command(tmp_path / "run.json")
    deadline = time.monotonic() + 200
    while not (run / "metrics.jsonl").is_file() or len(logged(run)) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    code, shown = ended(process)
    assert code == 130, shown[-3000:]
    (complete,) = run.glob("checkpoints/*/complete.json")
    step = complete.parent.name.removeprefix("checkpoint-")
    assert (complete.parent / "shards.json").exists()
    assert f"after step {step} of 280; the state of step {step} is saved" in shown
    assert f"Continue with: adapt run {run} --resume" in shown
