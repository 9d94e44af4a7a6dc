"""A run that is killed or stopped, and continued, ends as if nothing had happened: bit for bit, on the CPU."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from run_process import RunProcess
from toy_runs import stopped_at

import adapt_core
from adapt_core.errors import AdaptError, UsageError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_reload")]


LONG = {"epochs": 5, "interval": "steps", "interval_steps": 7, "logging_steps": 5, "batch_size": 16}
"""80 steps, with checkpoints, log lines and epochs that fall on different steps."""


def whole_checkpoints(run: Path) -> list[Path]:
    return list(run.glob("checkpoints/*/complete.json"))


def outcome(run: Path) -> tuple[bytes, list[str], dict[str, float]]:
    """What must be equal: the weights, the log and the metrics."""
    weights = (run / "model" / "adapter_model.safetensors").read_bytes()
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    return weights, (run / "metrics.jsonl").read_text().splitlines(), metrics


@pytest.fixture(scope="module")
def uninterrupted(toy: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that the others are held to."""
    run = tmp_path_factory.mktemp("whole") / "run"
    adapt_core.run({**toy, "training": {**toy["training"], **LONG}, "output_dir": str(run)})
    return run


def test_a_killed_run_resumes_bit_for_bit(toy_config: Any, uninterrupted: Path, tmp_path: Path) -> None:
    config = toy_config(training=LONG)
    run = Path(config["output_dir"])
    process = RunProcess(config, tmp_path)
    process.wait_for(lambda: len(whole_checkpoints(run)) >= 3)
    assert process.kill() == -signal.SIGKILL
    assert not (run / "result.json").exists() and not (run / "model").exists()

    result = adapt_core.run(config, resume=True)
    assert result["steps"] == 80
    assert outcome(run) == outcome(uninterrupted)


def test_a_checkpoint_that_a_kill_left_half_written_is_passed_over(
    toy_config: Any, uninterrupted: Path, tmp_path: Path
) -> None:
    config = toy_config(training=LONG)
    run = Path(config["output_dir"])
    process = RunProcess(config, tmp_path)
    process.wait_for(lambda: len(whole_checkpoints(run)) >= 3)
    process.kill()
    newest = max(whole_checkpoints(run), key=lambda path: int(path.parent.name.split("-")[1])).parent
    adapter = newest / "adapter_model.safetensors"
    adapter.write_bytes(adapter.read_bytes()[:100])

    adapt_core.run(config, resume=True)
    assert outcome(run) == outcome(uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["process", "group"])
def test_a_stopped_run_saves_its_state_and_says_how_to_go_on(
    toy_config: Any, uninterrupted: Path, tmp_path: Path, number: signal.Signals, send: Any
) -> None:
    """A terminal and many schedulers signal the whole group, the processes that load data included."""
    config = toy_config(training={**LONG, "num_workers": 2})
    run = Path(config["output_dir"])
    process = RunProcess(config, tmp_path)
    process.wait_for(lambda: len(whole_checkpoints(run)) >= 2)
    send(process.pid, number)
    code, shown = process.ended(), process.shown.read_text()
    assert code == 130, shown[-3000:]
    assert f"Stopped by {number.name} after step" in " ".join(shown.split())
    assert f"adapt run {run} --resume" in " ".join(shown.split())
    assert "Traceback" not in shown

    adapt_core.run(config, resume=True)
    assert outcome(run) == outcome(uninterrupted)


@pytest.mark.parametrize("step", [3, 16, 21, 80])
def test_stopping_at_any_kind_of_step_changes_nothing(toy_config: Any, uninterrupted: Path, step: int) -> None:
    """In the middle of an epoch, at its end, at a checkpoint, and at the very end."""
    config = toy_config(training=LONG)
    with stopped_at(step), pytest.raises(adapt_core.Interrupted, match=f"after step {step} of 80"):
        adapt_core.run(config)
    adapt_core.run(config, resume=True)
    assert outcome(Path(config["output_dir"])) == outcome(uninterrupted)


@pytest.mark.parametrize("step", [5, 16, 20])
def test_stopping_with_checkpoints_by_the_epoch_changes_nothing(toy_config: Any, tmp_path: Path, step: int) -> None:
    training = {"epochs": 3, "logging_steps": 3, "gradient_accumulation_steps": 1}
    whole = toy_config(training=training, output_dir=str(tmp_path / "whole"))
    adapt_core.run(whole)
    config = toy_config(training=training)
    with stopped_at(step), pytest.raises(adapt_core.Interrupted):
        adapt_core.run(config)
    adapt_core.run(config, resume=True)
    assert outcome(Path(config["output_dir"])) == outcome(tmp_path / "whole")


def test_resuming_in_other_words(toy_config: Any, uninterrupted: Path) -> None:
    """``RESUME_FROM_CHECKPOINT`` in the configuration, and the run's folder in place of the file."""
    config = toy_config(training=LONG)
    with stopped_at(30), pytest.raises(adapt_core.Interrupted):
        adapt_core.run(config)
    adapt_core.run(config["output_dir"], ["RESUME_FROM_CHECKPOINT=true"])
    assert outcome(Path(config["output_dir"])) == outcome(uninterrupted)


def test_other_data_is_no_continuation(toy_config: Any, tmp_path: Path) -> None:
    data = tmp_path / "data.json"
    content = json.loads(Path(toy_config()["dataset"]["path"]).read_text())
    data.write_text(json.dumps(content))
    config = toy_config(training=LONG, dataset={"path": str(data)})
    with stopped_at(30), pytest.raises(adapt_core.Interrupted):
        adapt_core.run(config)
    content["train"][0]["label"] ^= 1
    data.write_text(json.dumps(content))
    with pytest.raises(AdaptError, match=r"The data has changed since the run .* began"):
        adapt_core.run(config, resume=True)
    assert whole_checkpoints(Path(config["output_dir"]))  # nothing was lost


def test_another_configuration_is_no_continuation(toy_config: Any) -> None:
    config = toy_config(training=LONG)
    with stopped_at(30), pytest.raises(adapt_core.Interrupted):
        adapt_core.run(config)
    with pytest.raises(UsageError, match=r"training\.lr: 0\.001 in the run, 0\.002 now"):
        adapt_core.run(config, ["LR=0.002"], resume=True)


def test_a_run_never_writes_over_another(toy_config: Any) -> None:
    config = toy_config(training={"max_steps": 2})
    adapt_core.run(config)
    before = Path(config["output_dir"], "result.json").read_bytes()
    with pytest.raises(UsageError, match="already holds a run"):
        adapt_core.run(config)
    assert Path(config["output_dir"], "result.json").read_bytes() == before
    adapt_core.run(config, ["seed=3"], overwrite=True)
    assert Path(config["output_dir"], "result.json").read_bytes() != before


def test_there_must_be_something_to_resume(toy_config: Any) -> None:
    with pytest.raises(UsageError, match="nothing to resume"):
        adapt_core.run(toy_config(), resume=True)
