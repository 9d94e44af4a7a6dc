"""The optimizer and the schedule of the learning rate, as options of every engine. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from pydantic import model_validator

from adapt_core.config.sections import TrainingOptions
from adapt_core.options import option
from adapt_core.utils.spelling import nearest

BY_EPOCH: tuple[str, ...] = ("CosineAnnealingLR", "LinearLR", "MultiStepLR")
"""The schedules that are told in epochs; MMEngine's names."""

OWN_OPTIONS = {"CosineAnnealingLR": ("eta_min_ratio",), "LinearLR": ("start_factor", "end_factor"), "MultiStepLR": ()}
"""What ``scheduler_options`` may say of each, by MMEngine's names."""


class OptimizationOptions(TrainingOptions):
    """The optimizer and the schedule, those of MMEngine among them, which change the rate from epoch to epoch."""

    optimizer: str = option("adamw_torch", flat="OPTIMIZER", help="Optimizer.")
    optimizer_options: dict[str, Any] = option({}, help="Further arguments of the optimizer, by its own names.")
    beta1: float = option(0.9, flat="BETA1", ge=0, lt=1, help="Adam's beta1.")
    beta2: float = option(0.999, flat="BETA2", ge=0, lt=1, help="Adam's beta2.")
    adam_eps: float = option(1e-8, flat="ADAM_EPS", gt=0, help="Adam's epsilon.")
    scheduler: str = option("linear", flat="SCHEDULER_TYPE", help="Learning-rate schedule.")
    scheduler_options: dict[str, Any] = option({}, help="Further arguments of the schedule, by its own names.")
    begin: int = option(
        0, flat="BEGIN", ge=0, help="First epoch in which CosineAnnealingLR, LinearLR or MultiStepLR acts, from 0."
    )
    end: int | None = option(
        None, flat="END", gt=0, help="Epoch at which that schedule stops and the rate stays; by default the last."
    )
    t_max: int = option(
        0, flat="T_MAX", ge=0, help="Epochs of half a cosine in CosineAnnealingLR; 0: from begin to end."
    )
    warmup: bool = option(
        False,
        flat=("WARMUP", "WAMRUP"),
        help="Let the rate rise over the first warmup_iters steps, under the schedules that have begin and end.",
    )
    warmup_ratio: float = option(
        0.1,
        flat=("WARMUP_RATIO", "WAMRUP_RATIO"),
        gt=0,
        le=1,
        help="The part of the learning rate that the first step of a warmup has.",
    )
    warmup_iters: int = option(50, flat="WARMUP_ITERS", gt=0, help="Steps of the warmup.")
    milestones: list[int] = option([], flat="MILESTONES", help="Epochs at which MultiStepLR multiplies by gamma.")
    gamma: float = option(0.1, flat="GAMMA", gt=0, help="What MultiStepLR multiplies the rate by at each milestone.")

    def _changed(self, *names: str) -> list[str]:
        """Which of these options are not what they are by default."""
        fields = type(self).model_fields
        return [each for each in names if getattr(self, each) != fields[each].get_default(call_default_factory=True)]

    @model_validator(mode="after")
    def _schedule_by_epoch(self) -> Self:
        name = self.scheduler
        if name not in BY_EPOCH:
            if given := self._changed(
                "begin", "end", "t_max", "warmup", "warmup_ratio", "warmup_iters", "milestones", "gamma"
            ):
                raise ValueError(
                    f"{given[0]} ({given[0].upper()}) is for the schedules {', '.join(BY_EPOCH)}, and scheduler "
                    f"(SCHEDULER_TYPE) is {name}; remove it, or choose one of them"
                )
            return self
        if self.warmup_steps:
            raise ValueError(f"the schedule {name} has its warmup in warmup and warmup_iters; remove warmup_steps")
        if self.t_max and name != "CosineAnnealingLR":
            raise ValueError(f"t_max (T_MAX) is for CosineAnnealingLR, and scheduler is {name}; remove it")
        if name != "MultiStepLR" and (given := self._changed("milestones", "gamma")):
            raise ValueError(f"{given[0]} ({given[0].upper()}) is for MultiStepLR, and scheduler is {name}; remove it")
        if not self.warmup and (given := self._changed("warmup_ratio", "warmup_iters")):
            raise ValueError(
                f"{given[0]} ({given[0].upper()}) is of a warmup, and warmup (WARMUP) is false; remove it, or set "
                "warmup to true"
            )
        if name == "MultiStepLR" and not self.milestones:
            raise ValueError("MultiStepLR needs milestones (MILESTONES): the epochs at which the rate changes")
        if any(each < 0 for each in self.milestones) or sorted(self.milestones) != self.milestones:
            raise ValueError("milestones (MILESTONES) must be epochs in increasing order")
        if self.end is not None and self.end <= self.begin:
            raise ValueError(f"end (END) is {self.end}, which is not after begin (BEGIN), {self.begin}")
        for key, value in self.scheduler_options.items():
            if key not in OWN_OPTIONS[name]:
                known = " and ".join(OWN_OPTIONS[name]) or "none"
                raise ValueError(f"scheduler_options: {name} has no option {key!r}; it has {known}")
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ValueError(f"scheduler_options: {key} of {name} must be between 0 and 1, not {value!r}")
        return self


def is_class(name: str) -> bool:
    """Whether a name is that of a class, ``"module:Class"``."""
    module, _, attribute = name.partition(":")
    return bool(attribute) and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def known(value: str, names: Sequence[str], what: str) -> str:
    """The name that a value is, whatever its case; raises ValueError with the nearest otherwise."""
    if is_class(value):
        return value
    if found := next((name for name in names if name.lower() == value.lower()), None):
        return found
    raise ValueError(f"unknown {what} {value!r}{nearest(value, names)}")
