"""The schedules by epoch have the learning rates of MMEngine's own, step by step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip("mmengine", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

STEPS, EPOCHS, RATE = 3, 8, 0.02


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({"scheduler": "CosineAnnealingLR"}, {"T_max": EPOCHS}),
        ({"scheduler": "CosineAnnealingLR", "begin": 2, "end": 6, "t_max": 9}, {"T_max": 9, "begin": 2, "end": 6}),
        ({"scheduler": "LinearLR", "end": 5}, {"end": 5}),
        ({"scheduler": "MultiStepLR", "milestones": [2, 5], "gamma": 0.3}, {"milestones": [2, 5], "gamma": 0.3}),
    ],
)
@pytest.mark.parametrize("warmup", [False, True])
def test_the_rates_are_those_of_mmengine(options: dict[str, Any], settings: dict[str, Any], warmup: bool) -> None:
    from mmengine.optim import scheduler as theirs

    from adapt_core.engines.common.schedules import factor_at
    from adapt_vision.engines.mmengine.options import RunnerOptions

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    by_step = []
    if warmup:
        by_step = [theirs.LinearLR(optimizer, start_factor=0.2, by_epoch=False, begin=0, end=5)]
    by_epoch = [getattr(theirs, options["scheduler"])(optimizer, by_epoch=True, **settings)]
    rising = {"warmup": True, "warmup_ratio": 0.2, "warmup_iters": 5} if warmup else {}
    made = RunnerOptions(**options, **rising)
    for step in range(EPOCHS * STEPS):
        expected = optimizer.param_groups[0]["lr"]
        assert RATE * factor_at(made, step, STEPS, EPOCHS) == pytest.approx(expected, rel=1e-6, abs=1e-12)
        optimizer.step()
        for each in by_step:
            each.step()
        if (step + 1) % STEPS == 0:
            for each in by_epoch:
                each.step()
