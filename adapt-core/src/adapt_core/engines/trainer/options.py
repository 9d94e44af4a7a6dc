"""The ``training`` section under the Trainer's engine. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import field_validator, model_validator

from adapt_core.engines.common.optimization_options import BY_EPOCH, OptimizationOptions, is_class, known
from adapt_core.engines.trainer.names import OPTIMIZERS, SCHEDULERS, TRACKERS
from adapt_core.options import option

CLASS = " or as module:Class"
"""How what transformers has no name for is given."""


class TrainerOptions(OptimizationOptions):
    """How to train with transformers' ``Trainer``: its optimizers, schedules and trackers, by its names."""

    optimizer: str = option(
        "adamw_torch",
        flat="OPTIMIZER",
        examples=[*OPTIMIZERS],
        help=f"Optimizer, by the name that transformers gives it,{CLASS}.",
    )
    scheduler: str = option(
        "linear",
        flat="SCHEDULER_TYPE",
        examples=[*SCHEDULERS, *BY_EPOCH],
        help=f"Learning-rate schedule, by the name that transformers or MMEngine gives it,{CLASS}.",
    )
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
        return known(value, OPTIMIZERS, "optimizer")

    @field_validator("scheduler")
    @classmethod
    def _known_scheduler(cls, value: str) -> str:
        return known(value, (*SCHEDULERS, *BY_EPOCH), "schedule")

    @field_validator("trackers")
    @classmethod
    def _known_trackers(cls, value: list[str]) -> list[str]:
        return [known(tracker, TRACKERS, "tracker") for tracker in value]

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
