"""The order of the training rows: another one each epoch, and the same again with the same seed."""

from __future__ import annotations

import importlib
import shutil
from typing import Any

import pytest
from toy_runs import go, losses

import adapt_core

pytestmark = pytest.mark.usefixtures("no_reload")


@pytest.fixture
def batches(toy: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, ...], ...]]:
    """Every training batch that a run of the toy task makes: the ids of its rows."""
    task = importlib.import_module("toy_task")
    original, seen = task.collate, []

    def collate(rows: Any) -> Any:
        seen.append(tuple(tuple(row["ids"]) for row in rows))
        return original(rows)

    monkeypatch.setattr(task, "collate", collate)
    return seen


@pytest.mark.parametrize("group_by_length", [False, True])
def test_every_epoch_has_batches_of_its_own(toy_config: Any, batches: list[Any], group_by_length: bool) -> None:
    training = {"epochs": 3, "batch_size": 16, "do_eval": False, "group_by_length": group_by_length}
    adapt_core.run(toy_config(training=training))
    epochs = [batches[start : start + 16] for start in (0, 16, 32)]
    rows = [sorted(row for batch in epoch for row in batch) for epoch in epochs]
    assert rows[0] == rows[1] == rows[2], "an epoch passes over each row once"
    members = [{frozenset(batch) for batch in epoch} for epoch in epochs]
    assert not members[0] & members[1] and not members[1] & members[2], "the same rows stand together again"


def test_the_same_seed_gives_the_same_batches(toy_config: Any, batches: list[Any]) -> None:
    training = {"max_steps": 20, "batch_size": 16, "do_eval": False}
    for seed in (1, 1, 2):
        adapt_core.run(toy_config(training=training, seed=seed), overwrite=True)
    first, again, other = (batches[start : start + 20] for start in (0, len(batches) // 3, 2 * len(batches) // 3))
    assert first == again != other


def test_an_evaluation_changes_no_random_number_of_training(toy_config: Any) -> None:
    """The model has dropout: were one number drawn in between, the losses after it would be others."""
    curves = []
    for evaluated in (True, False):
        training = {"max_steps": 12, "interval": "steps", "interval_steps": 3, "logging_steps": 1, "do_eval": evaluated}
        _, folder = go(toy_config(training=training))
        curves.append([line["loss"] for line in losses(folder)])
        shutil.rmtree(folder)
    assert len(curves[0]) == 12 and curves[0] == curves[1]
