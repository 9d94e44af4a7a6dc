"""The schedules that are told in epochs: their learning rates are those of the equations, in a whole run."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError
from toy_runs import go, lines

from adapt_core.engines.common.schedules import factor_at
from adapt_core.engines.trainer.options import TrainerOptions

ROWS, BATCH = 256, 64
STEPS = ROWS // BATCH  # of an epoch

pytestmark = pytest.mark.usefixtures("no_reload")


def cosine(step: int) -> float:
    return (1 + math.cos(math.pi * (step // STEPS) / 5)) / 2


def cosine_between(step: int) -> float:
    """From epoch 1 to 4, half a period of 6 epochs: it stays where epoch 3 has left it."""
    return (1 + math.cos(math.pi * min(max(step // STEPS - 1, 0), 2) / 6)) / 2


def stairs(step: int) -> float:
    return 0.5 ** sum(step // STEPS >= each for each in (1, 3))


def line(step: int) -> float:
    """From a third to the whole over five epochs."""
    return 1 / 3 + 2 / 3 * min(step // STEPS, 4) / 4


def warm(step: int) -> float:
    return cosine(step) * (0.2 + 0.8 * min(step, 5) / 5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"SCHEDULER_TYPE": "CosineAnnealingLR"}, cosine),
        ({"SCHEDULER_TYPE": "cosineannealinglr", "BEGIN": 1, "END": 4, "T_MAX": 6}, cosine_between),
        ({"SCHEDULER_TYPE": "MultiStepLR", "MILESTONES": [1, 3], "GAMMA": 0.5}, stairs),
        ({"SCHEDULER_TYPE": "LinearLR"}, line),
        ({"SCHEDULER_TYPE": "CosineAnnealingLR", "WARMUP": True, "WARMUP_RATIO": 0.2, "WARMUP_ITERS": 6}, warm),
        ({"SCHEDULER_TYPE": "CosineAnnealingLR", "WAMRUP": True, "WAMRUP_RATIO": 0.2, "WARMUP_ITERS": 6}, warm),
    ],
)
def test_every_step_has_the_rate_of_the_equation(toy_config: Any, options: dict[str, Any], expected: Any) -> None:
    """Under the Trainer, which logs a step's rate after it: that of the next one."""
    training = {"epochs": 5, "batch_size": BATCH, "logging_steps": 1, "lr": 0.01, "do_eval": False}
    _, run = go({**toy_config(training=training), **options})
    rates = [each["learning_rate"] for each in lines(run)]
    assert len(rates) == 5 * STEPS
    steps = range(5 * STEPS)
    shifted = [0.01 * expected(step) for step in steps][1:]
    assert rates[: len(shifted)] == pytest.approx(shifted) or rates == pytest.approx(
        [0.01 * expected(s) for s in steps]
    )


def test_an_open_end_is_the_run_s_and_a_single_epoch_works() -> None:
    made = TrainerOptions(scheduler="CosineAnnealingLR")
    assert [factor_at(made, step, 2, 1) for step in range(2)] == [1.0, 1.0]
    assert factor_at(made, 3, 1, 4) == pytest.approx((1 + math.cos(math.pi * 3 / 4)) / 2)
    lowest = TrainerOptions(scheduler="CosineAnnealingLR", scheduler_options={"eta_min_ratio": 0.1}, t_max=2)
    assert factor_at(lowest, 2, 1, 4) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"end": 5}, "end"),
        ({"scheduler": "cosine", "milestones": [1]}, "milestones"),
        ({"warmup": True}, "warmup"),
        ({"warmup_iters": 9}, "warmup_iters"),
        ({"warmup_ratio": 0.3}, "warmup_ratio"),
        ({"gamma": 0.5}, "gamma"),
        ({"scheduler": "LinearLR", "gamma": 0.5}, "MultiStepLR"),
        ({"scheduler": "CosineAnnealingLR", "warmup_iters": 9}, "warmup .WARMUP. is false"),
        ({"scheduler": "CosineAnnealingLR", "warmup_ratio": 0.3, "warmup": False}, "warmup .WARMUP. is false"),
        ({"scheduler": "MultiStepLR"}, "milestones"),
        ({"scheduler": "MultiStepLR", "milestones": [3, 1]}, "increasing"),
        ({"scheduler": "LinearLR", "t_max": 3}, "t_max"),
        ({"scheduler": "CosineAnnealingLR", "milestones": [1]}, "MultiStepLR"),
        ({"scheduler": "CosineAnnealingLR", "begin": 3, "end": 3}, "begin"),
        ({"scheduler": "CosineAnnealingLR", "warmup_steps": 3}, "warmup_iters"),
        ({"scheduler": "CosineAnnealingLR", "scheduler_options": {"gamma": 1}}, "eta_min_ratio"),
        ({"scheduler": "LinearLR", "scheduler_options": {"start_factor": 2}}, "between 0 and 1"),
    ],
)
def test_what_would_have_no_effect_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TrainerOptions(**options)


def test_what_is_said_by_default_may_be_said() -> None:
    never = {"begin": 0, "t_max": 0, "warmup": False, "warmup_ratio": 0.1, "warmup_iters": 50}
    assert TrainerOptions(**never, milestones=[], gamma=0.1) == TrainerOptions()
