"""Optimizers, schedules and trackers that transformers has no name for, as ``module:Class``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_distributions import Install
from toy_runs import go, optimizer, rates

import adapt_core
from adapt_core.errors import AdaptError, ConfigError

pytestmark = pytest.mark.usefixtures("no_reload")

TRACKER = """
from pathlib import Path
from transformers import TrainerCallback

class Notes(TrainerCallback):
    def on_log(self, args, state, control, logs=None, **kwargs):
        Path(args.output_dir, "..", "..", "notes.txt").open("a").write(f"{state.global_step} {sorted(logs)}\\n")
"""


def test_an_optimizer_gets_its_rate_its_options_and_weight_decay(toy_config: Any) -> None:
    training = {
        "optimizer": "torch.optim:NAdam",
        "optimizer_options": {"betas": [0.8, 0.9], "momentum_decay": 0.01},
        "weight_decay": 0.02,
        "max_steps": 3,
        "scheduler": "constant",
    }
    _, run = go(toy_config(training=training))
    groups = optimizer(run)["param_groups"]
    assert {tuple(group["betas"]) for group in groups} == {(0.8, 0.9)}
    assert {group["momentum_decay"] for group in groups} == {0.01}
    assert {group["lr"] for group in groups} == {1e-3}
    assert {group["weight_decay"] for group in groups} == {0.02, 0.0}


def test_a_schedule_gets_its_options(toy_config: Any) -> None:
    """torch's ExponentialLR: every step's rate is gamma times the one before."""
    training = {"scheduler": "torch.optim.lr_scheduler:ExponentialLR", "scheduler_options": {"gamma": 0.5}}
    _, run = go(toy_config(training={**training, "max_steps": 4, "logging_steps": 1}))
    assert rates(run) == pytest.approx([1e-3 * 0.5**step for step in range(4)])


def test_a_tracker_hears_the_log(toy_config: Any, fake: Install, tmp_path: Path) -> None:
    fake("noted", {"noted": TRACKER})
    go(toy_config(training={"trackers": ["noted:Notes"], "max_steps": 20}))
    assert "10 ['epoch', 'grad_norm', 'learning_rate', 'loss']" in (tmp_path / "notes.txt").read_text()


@pytest.mark.parametrize(
    ("training", "says"),
    [
        ({"optimizer": "torch.optim:Nothing"}, "cannot load torch.optim:Nothing"),
        ({"optimizer": "nowhere:Adam"}, "cannot load nowhere:Adam"),
        ({"optimizer": "torch.optim:SGD", "optimizer_options": {"momentm": 1}}, "refuses its arguments"),
        ({"scheduler": "torch.optim.lr_scheduler:StepLR"}, "StepLR cannot be made: .*step_size"),
        ({"trackers": ["nowhere:Tracker"]}, "cannot load nowhere:Tracker"),
    ],
)
def test_what_cannot_be_made_is_refused_before_training(toy_config: Any, training: dict[str, Any], says: str) -> None:
    with pytest.raises(AdaptError, match=says):
        adapt_core.run(toy_config(training=training))
    assert not Path(toy_config()["output_dir"]).exists()


def test_a_class_has_no_warmup_of_the_trainer_s(toy_config: Any) -> None:
    with pytest.raises(ConfigError, match="has no warmup"):
        adapt_core.run(toy_config(training={"scheduler": "torch.optim.lr_scheduler:StepLR", "warmup_steps": 5}))
