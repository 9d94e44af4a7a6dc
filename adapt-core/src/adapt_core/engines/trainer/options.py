"""The ``training`` section under the Trainer's engine. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from adapt_core.config.sections import TrainingOptions
from adapt_core.engines.trainer.names import OPTIMIZERS, SCHEDULERS, TRACKERS
from adapt_core.options import option
from adapt_core.utils.spelling import nearest

CLASS = " or as module:Class"
"""How what transformers has no name for is given."""


class TrainerOptions(TrainingOptions):
    """How to train with transformers' ``Trainer``: its optimizers, schedules and trackers, by its names."""

    optimizer: str = option(
        "adamw_torch",
        flat="OPTIMIZER",
        examples=[*OPTIMIZERS],
        help=f"Optimizer, by the name that transformers gives it,{CLASS}.",
    )
    optimizer_options: dict[str, Any] = option({}, help="Further arguments of the optimizer, by its own names.")
    beta1: float = option(0.9, flat="BETA1", ge=0, lt=1, help="Adam's beta1.")
    beta2: float = option(0.999, flat="BETA2", ge=0, lt=1, help="Adam's beta2.")
    adam_eps: float = option(1e-8, flat="ADAM_EPS", gt=0, help="Adam's epsilon.")
    scheduler: str = option(
        "linear",
        flat="SCHEDULER_TYPE",
        examples=[*SCHEDULERS],
        help=f"Learning-rate schedule, by transformers' name,{CLASS}.",
    )
    scheduler_options: dict[str, Any] = option({}, help="Further arguments of the schedule, by its own names.")
    gradient_checkpointing: bool = option(
        False, flat="GRADIENT_CHECKPOINTING", help="Recompute activations in the backward pass: less memory, more time."
    )
    group_by_length: bool = option(True, help="Batch rows of like length together: less padding, the same rows.")
    cache_features: bool | Literal["auto"] = option(
        "auto",
        help="Where only the head is trained, compute what goes into it once for every row: later epochs then take "
        "next to no time. auto does so where it changes nothing; true also where layers before the head have dropout, "
        "which is off then; false never.",
    )
    trackers: list[str] = option(
        [], help=f"Experiment trackers, by transformers' names (tensorboard, mlflow, …){CLASS} of a callback."
    )

    @field_validator("optimizer")
    @classmethod
    def _known_optimizer(cls, value: str) -> str:
        return _known(value, OPTIMIZERS, "optimizer")

    @field_validator("scheduler")
    @classmethod
    def _known_scheduler(cls, value: str) -> str:
        return _known(value, SCHEDULERS, "schedule")

    @field_validator("trackers")
    @classmethod
    def _known_trackers(cls, value: list[str]) -> list[str]:
        return [_known(tracker, TRACKERS, "tracker") for tracker in value]

    @model_validator(mode="after")
    def _possible_schedule(self) -> Self:
        none = ("constant", "reduce_lr_on_plateau", "greedy")
        if self.warmup_steps and (self.scheduler in none or is_class(self.scheduler)):
            raise ValueError(f"the schedule {self.scheduler} has no warmup; remove warmup_steps")
        if self.scheduler_options and self.scheduler in ("constant", "constant_with_warmup"):
            raise ValueError(f"the schedule {self.scheduler} takes no options; remove scheduler_options")
        if self.scheduler == "reduce_lr_on_plateau" and not self.do_eval:
            raise ValueError(
                "the schedule reduce_lr_on_plateau needs do_eval (DO_EVAL): it follows the evaluation loss"
            )
        return self


def is_class(name: str) -> bool:
    """Whether a name is that of a class, ``"module:Class"``."""
    module, _, attribute = name.partition(":")
    return bool(attribute) and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def _known(value: str, names: tuple[str, ...], what: str) -> str:
    """The value in lower case if it is one of the names; raises ValueError with the nearest otherwise."""
    if is_class(value):
        return value
    if value.lower() in names:
        return value.lower()
    raise ValueError(f"unknown {what} {value!r}{nearest(value, names)}")
