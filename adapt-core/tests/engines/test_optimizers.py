"""Optimizers and schedules get what a configuration says of them, or are refused before training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_runs import go, optimizer, rates

import adapt_core
from adapt_core.engines.trainer.names import SCHEDULERS
from adapt_core.errors import AdaptError

pytestmark = pytest.mark.usefixtures("no_reload")


def test_adam_gets_its_parameters(toy_config: Any) -> None:
    training = {"weight_decay": 0.03, "beta1": 0.8, "beta2": 0.95, "adam_eps": 1e-5, "batch_size": 64}
    _, run = go(toy_config(training=training))
    state = optimizer(run)
    groups = state["param_groups"]
    assert {tuple(group["betas"]) for group in groups} == {(0.8, 0.95)}
    assert {group["eps"] for group in groups} == {1e-5}
    assert 0.03 in {group["weight_decay"] for group in groups}
    assert "exp_avg_sq" in state["state"][0]


def test_sgd_keeps_no_moments(toy_config: Any) -> None:
    _, run = go(toy_config(training={"optimizer": "sgd", "batch_size": 64}))
    assert not any("exp_avg" in state for state in optimizer(run)["state"].values())


def test_optimizer_options_reach_the_optimizer(toy_config: Any) -> None:
    training = {"optimizer": "rmsprop", "optimizer_options": {"momentum": 0.5}, "batch_size": 64}
    _, run = go(toy_config(training=training))
    assert {group["momentum"] for group in optimizer(run)["param_groups"]} == {0.5}


def test_options_that_the_trainer_does_not_hand_on_reach_the_optimizer_too(toy_config: Any) -> None:
    _, run = go(toy_config(training={"optimizer_options": {"amsgrad": True, "betas": [0.5, 0.6]}, "batch_size": 64}))
    groups = optimizer(run)["param_groups"]
    assert {(group["amsgrad"], tuple(group["betas"])) for group in groups} == {(True, (0.5, 0.6))}


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("sgd", {"momentm": 0.9}, "'momentm' has no effect on sgd; did you mean 'momentum'"),
        ("adamw_torch", {"rank": 4}, "'rank' has no effect on adamw_torch"),
        ("adamw_torch", {"betas": [2, 3]}, "adamw_torch refuses its arguments: Invalid beta"),
        ("galore_adamw", {}, "galore_adamw does not work on this machine .*galore"),
    ],
)
def test_optimizer_options_that_would_do_nothing_are_refused_before_training(
    toy_config: Any, name: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(AdaptError, match=says):
        adapt_core.run(toy_config(training={"optimizer": name, "optimizer_options": options}))
    assert not Path(toy_config()["output_dir"]).exists()


def test_learning_rate_falls_linearly_by_default(toy_config: Any) -> None:
    _, run = go(toy_config(training={"lr": 0.004, "logging_steps": 1, "batch_size": 64}))
    assert rates(run) == pytest.approx([0.004 * (1 - step / 4) for step in range(4)])


def test_warmup_raises_the_rate_first(toy_config: Any) -> None:
    _, run = go(toy_config(training={"lr": 0.004, "warmup_steps": 2, "logging_steps": 1, "batch_size": 64}))
    assert rates(run) == pytest.approx([0, 0.002, 0.004, 0.002])


def test_cosine_follows_the_cosine(toy_config: Any) -> None:
    _, run = go(toy_config(training={"lr": 0.004, "scheduler": "cosine", "logging_steps": 1, "batch_size": 64}))
    assert rates(run) == pytest.approx([0.002 * (1 + math.cos(math.pi * step / 4)) for step in range(4)])


SCHEDULER_OPTIONS: dict[str, dict[str, Any]] = {
    "cosine_with_min_lr": {"min_lr": 1e-5},
    "cosine_warmup_with_min_lr": {"min_lr": 1e-5},
    "warmup_stable_decay": {"num_decay_steps": 2},
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_schedule_of_transformers_trains(toy_config: Any, name: str) -> None:
    training = {"scheduler": name, "scheduler_options": SCHEDULER_OPTIONS.get(name, {}), "batch_size": 64}
    result, run = go(toy_config(training={**training, "logging_steps": 1, "interval": "steps", "interval_steps": 2}))
    assert result["steps"] == 4
    assert all(0 <= rate <= 1e-3 for rate in rates(run))


def test_a_schedule_without_its_arguments_is_refused_before_training(toy_config: Any) -> None:
    with pytest.raises(AdaptError, match=r"SCHEDULER_TYPE\): cosine_with_min_lr cannot be made.*min_lr"):
        adapt_core.run(toy_config(training={"scheduler": "cosine_with_min_lr"}))
    assert not Path(toy_config()["output_dir"]).exists()


def test_an_optimizer_that_cannot_step_here_is_refused_before_training(toy_config: Any) -> None:
    with pytest.raises(AdaptError, match=r"OPTIMIZER\): grokadamw does not work on this machine"):
        adapt_core.run(toy_config(training={"optimizer": "grokadamw"}))
    assert not Path(toy_config()["output_dir"]).exists()


def test_it_is_gone_when_a_second_model_is_loaded(toy_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved is compared with what was trained: two models, and no state of the optimizer beside them."""
    import gc

    from adapt_core.pipeline import run as pipeline

    original, held = pipeline.save, []

    def saved(plan: Any, folder: Any, task: Any, method: Any, model: Any, *further: Any) -> Any:
        own = {id(each) for each in model.module.parameters()}
        gc.collect()
        for each in gc.get_objects():
            if isinstance(each, torch.optim.Optimizer):
                held.extend(parameter for parameter in each.state if id(parameter) in own)
        return original(plan, folder, task, method, model, *further)

    monkeypatch.setattr(pipeline, "save", saved)
    adapt_core.run(toy_config(method="full", training={"max_steps": 2}))
    assert not held
