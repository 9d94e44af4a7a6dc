"""Runs of the toy task, and what they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

import adapt_core


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
