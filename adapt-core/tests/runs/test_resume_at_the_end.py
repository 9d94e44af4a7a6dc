"""A run that is killed after its last step only saves when it is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import adapt_core
from adapt_core.pipeline import run as pipeline

ENDS = {
    "after max_steps": {"max_steps": 3},
    "in the middle of the second epoch": {"epochs": 1.4},
    "after steps that pass an epoch's end": {"max_steps": 18},
    "at the end of an epoch": {"epochs": 1},
}


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize("end", ENDS)
def test_it_takes_no_step_more(toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """At a constant rate, where a step more would move the weights."""
    training = {**ENDS[end], "scheduler": "constant", "do_eval": False}
    whole = adapt_core.run(toy_config(training=training, output_dir=str(tmp_path / "whole")))
    config = toy_config(training=training, output_dir=str(tmp_path / "killed"))

    class Killed(BaseException):
        """In the place of a signal that nothing can catch."""

    def save(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "save", save)
        with pytest.raises(Killed):
            adapt_core.run(config)
    resumed = adapt_core.run(config, resume=True)
    assert resumed["steps"] == whole["steps"]
    name = "adapter_model.safetensors"
    assert resumed["sha256"][name] == whole["sha256"][name]
    assert (tmp_path / "killed" / "metrics.jsonl").read_text() == (tmp_path / "whole" / "metrics.jsonl").read_text()
