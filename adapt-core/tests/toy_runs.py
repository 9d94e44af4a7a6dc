"""Runs of the toy task, and what they leave."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import adapt_core

TINY = {
    "vocab_size": 100,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}
"""The sizes of the toy task's models."""

QUICK = {"max_steps": 6, "lr": 0.05}
INPUTS = [json.dumps(row) for row in ([5, 60, 70, 8], [3, 4, 5], [90, 91, 92, 93, 94], [10, 55])]


def lines(run: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]


def losses(run: str | Path) -> list[dict[str, Any]]:
    return [line for line in lines(run) if "loss" in line]


def checkpoints(run: str | Path) -> list[int]:
    return sorted(int(each.name.split("-")[1]) for each in Path(run, "checkpoints").iterdir())


def optimizer(run: str | Path) -> dict[str, Any]:
    """The optimizer's state in the newest checkpoint."""
    folder = Path(run, "checkpoints", f"checkpoint-{checkpoints(run)[-1]}")
    return dict(torch.load(folder / "optimizer.pt", weights_only=True))


def rates(run: str | Path) -> list[float]:
    """The learning rate that each step used; the log names the one after the schedule's move."""
    return [line["learning_rate"] for line in losses(run)]


def go(config: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return adapt_core.run(config), config["output_dir"]


def finished(toy_config: Any, folder: Path, **changes: Any) -> Path:
    adapt_core.run(toy_config(training=QUICK, output_dir=str(folder), **changes))
    return folder


def outputs(run: adapt_core.LoadedRun) -> np.ndarray:
    run.use()
    return np.stack(run.task.outputs(run.model, run.parse_inputs(INPUTS), run.info))


@contextmanager
def stopped_at(step: int) -> Iterator[None]:
    """A real SIGTERM to this process, when the optimizer is about to take that step."""
    import torch

    original = torch.optim.AdamW.step
    taken = 0

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal taken
        taken += len(self.param_groups[0]["params"]) > 1  # not the trial step that checks the machine
        if taken == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", counted)
        yield
