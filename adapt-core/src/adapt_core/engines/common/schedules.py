"""The learning rate of every step under the schedules of MMEngine, in closed form.

MMEngine computes each rate out of the one before. The closed forms give the same rates, and need no state to resume.
"""

from __future__ import annotations

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from adapt_core.engines.common.optimization_options import OptimizationOptions


def factor_at(options: OptimizationOptions, step: int, steps_of_epoch: int, epochs: int) -> float:
    """What the learning rate is multiplied by in a step.

    Args:
        options: with one of the schedules by epoch.
        step: the optimizer step, from 0.
        steps_of_epoch: optimizer steps in an epoch.
        epochs: of the whole run, a begun one counted.

    Returns:
        The factor of the schedule, times that of the warmup.
    """
    end = options.end if options.end is not None else max(epochs, options.begin + 1)
    epoch = step // steps_of_epoch
    factor = 1.0
    if epoch >= options.begin:
        factor = _factor(options, min(epoch, end - 1) - options.begin, end - options.begin)
    if options.warmup:
        factor *= _line(options.warmup_ratio, 1.0, step, options.warmup_iters)
    return factor


def schedule_by_epoch(options: OptimizationOptions, optimizer: Optimizer, steps_of_epoch: int, epochs: int) -> Any:
    """The schedule of torch that sets these learning rates; :func:`factor_at` says which."""
    return LambdaLR(optimizer, lambda step: factor_at(options, step, steps_of_epoch, epochs))


def _factor(options: OptimizationOptions, since: int, length: int) -> float:
    """The factor after so many epochs of a schedule of a length in epochs."""
    own = options.scheduler_options
    if options.scheduler == "CosineAnnealingLR":  # Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5
        lowest = float(own.get("eta_min_ratio", 0.0))
        return lowest + (1 - lowest) * (1 + math.cos(math.pi * since / (options.t_max or length))) / 2
    if options.scheduler == "LinearLR":
        return _line(float(own.get("start_factor", 1 / 3)), float(own.get("end_factor", 1.0)), since, length)
    return options.gamma ** sum(each <= since for each in options.milestones)


def _line(first: float, last: float, place: int, places: int) -> float:
    """The value at a place on a line from the first place to the last; the last value behind it."""
    return last if places == 1 or place >= places - 1 else first + (last - first) * place / (places - 1)
