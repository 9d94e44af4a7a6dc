"""A task of bare PyTorch with an engine of its own goes all the way: nothing in the core is Hugging Face's alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adapt_core

METHODS: dict[str, dict[str, Any]] = {
    "full": {"name": "full"},
    "lora": {"name": "lora", "target_modules": ["hidden", "conv"]},
    "ssf": {"name": "ssf"},
    "last_layer": {"name": "last_layer"},
}


@pytest.mark.parametrize("method", METHODS)
def test_a_run_goes_all_the_way(bare_config: Any, tmp_path: Path, method: str) -> None:
    """Run, saved and reloaded in a new process, evaluated again, used, and merged where there is something to merge."""
    config = bare_config(method=METHODS[method])
    result = adapt_core.run(config)
    assert result["steps"] == 24
    assert result["metrics"]["accuracy"] > (0.3 if method == "last_layer" else 0.5), "four classes, random features"
    assert set(result["reload_difference"]) == {"model", "export"}
    again = adapt_core.evaluate_run(config["output_dir"])
    assert again["rows"] == 32
    assert again["metrics"] == pytest.approx({name: result["metrics"][name] for name in again["metrics"]}, abs=1e-6)
    run = adapt_core.load_run(config["output_dir"])
    picture = np.zeros((8, 8))
    picture[4:, :4] = 2
    assert run.predict([json.dumps(picture.tolist())]) == [{"label": "south-west"}] or method == "last_layer"
    if method in ("lora", "ssf"):
        merged = adapt_core.merge_run(config["output_dir"])
        assert (Path(merged["output"]) / "weights.safetensors").is_file()
    else:
        assert (Path(config["output_dir"]) / "model" / "weights.safetensors").is_file()
        with pytest.raises(adapt_core.AdaptError, match="nothing to merge"):
            adapt_core.merge_run(config["output_dir"])
    assert "Right" in (Path(config["output_dir"]) / "report.html").read_text()


def test_the_engine_s_own_options_are_checked_and_used(bare_config: Any) -> None:
    def mistakes(training: dict[str, Any]) -> list[str]:
        with pytest.raises(adapt_core.ConfigError) as refused:
            adapt_core.run(bare_config(method="full", training=training))
        return [problem.key for problem in refused.value.problems]

    assert mistakes({"momentum": 2}) == ["training.momentum"]
    assert mistakes({"group_by_length": True}) == ["training.group_by_length"], "that is the Trainer's"
    with pytest.raises(adapt_core.AdaptError, match="warmup_steps: the bare engine does not do that"):
        adapt_core.run(bare_config(method="full", training={"warmup_steps": 3}))
    losses = [
        adapt_core.run(bare_config(method="full", save="none", training={"momentum": each}), overwrite=True)
        for each in (0.0, 0.9)
    ]
    assert losses[0]["metrics"]["loss"] > losses[1]["metrics"]["loss"]


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(bare_config: Any, tmp_path: Path) -> None:
    """With dropout and batch normalisation, after a kill that nothing can catch."""
    training = {"epochs": 60, "interval": "steps", "interval_steps": 10}
    whole = bare_config(method=METHODS["lora"], training=training, output_dir=str(tmp_path / "whole"), save="none")
    adapt_core.run(whole)
    config = {**whole, "output_dir": str(tmp_path / "killed")}
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    process = subprocess.Popen([sys.executable, "-m", "adapt_core.cli", "run", str(file)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while len(list((tmp_path / "killed").glob("checkpoints/*/complete.json"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    adapt_core.run(config, resume=True)
    first, second = (
        (Path(each["output_dir"]) / "model" / "adapter_model.safetensors").read_bytes() for each in (whole, config)
    )
    assert first == second
