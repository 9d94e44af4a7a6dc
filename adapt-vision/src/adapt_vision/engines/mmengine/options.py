"""The ``training`` section under MMEngine's Runner. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from typing import Self

from pydantic import field_validator, model_validator

from adapt_core.engines.common.optimization_options import BY_EPOCH, OptimizationOptions, is_class, known
from adapt_core.options import option

OPTIMIZERS: dict[str, str] = {
    "adamw_torch": "AdamW",
    "adamw_torch_fused": "AdamW",
    "sgd": "SGD",
    "adagrad": "Adagrad",
    "rmsprop": "RMSprop",
    **{name: name for name in ("Adadelta", "Adafactor", "Adam", "Adamax", "AdamW", "ASGD", "NAdam", "RAdam", "Rprop")},
}
"""Classes of ``torch.optim`` by the names of transformers, or by their own, as MMEngine knows them."""

BITSANDBYTES: tuple[str, ...] = (
    "adamw_8bit",
    "adamw_bnb_8bit",
    "ademamix",
    "ademamix_8bit",
    "lion_8bit",
    "lion_32bit",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "paged_ademamix_32bit",
    "paged_ademamix_8bit",
    "paged_lion_32bit",
    "paged_lion_8bit",
    "rmsprop_bnb",
    "rmsprop_bnb_8bit",
    "rmsprop_bnb_32bit",
)
"""Optimizers of bitsandbytes, where it is installed, by the names of transformers."""

SCHEDULERS: tuple[str, ...] = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "cosine_with_min_lr",
    "cosine_warmup_with_min_lr",
    "warmup_stable_decay",
)
"""Schedules of transformers that need nothing but the step."""


class RunnerOptions(OptimizationOptions):
    """How to train with MMEngine's ``Runner``."""

    optimizer: str = option(
        "adamw_torch",
        flat="OPTIMIZER",
        examples=[*OPTIMIZERS, *BITSANDBYTES],
        help="Optimizer: one of torch.optim, by its own name or that of transformers, one of bitsandbytes, by that of "
        "transformers, or as module:Class.",
    )
    scheduler: str = option(
        "linear",
        flat="SCHEDULER_TYPE",
        examples=[*SCHEDULERS, *BY_EPOCH],
        help="Learning-rate schedule, by the name that transformers or MMEngine gives it, or as module:Class.",
    )
    gradient_checkpointing: bool = option(
        False, flat="GRADIENT_CHECKPOINTING", help="Recompute activations in the backward pass: less memory, more time."
    )
    amp: bool = option(
        False, flat="amp", help="Mixed precision in what the device is made for: float16 on a GPU, bfloat16 on a CPU."
    )
    auto_scale_lr: bool = option(
        False,
        flat="auto_scale_lr",
        help="Multiply the learning rate by the rows of a step over those that the model's configuration was tuned for "
        "(Goyal et al. 2017, arXiv:1706.02677).",
    )
    checkpoint_interval: int = option(
        1, flat="checkpoint_interval", gt=0, help="Epochs between checkpoints and evaluations if interval is epoch."
    )

    @field_validator("optimizer")
    @classmethod
    def _known_optimizer(cls, value: str) -> str:
        return known(value, (*OPTIMIZERS, *BITSANDBYTES), "optimizer")

    @field_validator("scheduler")
    @classmethod
    def _known_scheduler(cls, value: str) -> str:
        return known(value, (*SCHEDULERS, *BY_EPOCH), "schedule")

    @model_validator(mode="after")
    def _possible_schedule(self) -> Self:
        if self.warmup_steps and (self.scheduler == "constant" or is_class(self.scheduler)):
            raise ValueError(f"the schedule {self.scheduler} has no warmup; remove warmup_steps")
        if self.scheduler_options and self.scheduler in ("constant", "constant_with_warmup"):
            raise ValueError(f"the schedule {self.scheduler} takes no options; remove scheduler_options")
        if self.amp and (self.fp16 or self.bf16):
            raise ValueError("amp chooses the precision by itself; remove it, or fp16 (FP16) and bf16")
        return self
