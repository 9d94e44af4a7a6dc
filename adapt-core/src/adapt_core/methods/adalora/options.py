"""Options of AdaLoRA, under PEFT's names but for the short ones that LoRA has too."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from adapt_core.methods.adalora.phases import FIRST_SHARE, LAST_SHARE
from adapt_core.methods.shared.layer_types import HOW_TO_NAME
from adapt_core.options import Options, option


class AdaloraOptions(Options):
    """AdaLoRA: updates ``P E Q`` of rank ``init_r``, whose least important singular values are set to zero.

    In the first ``tinit`` steps all ranks stay; then the budget falls, by a cubic schedule, to ``target_r`` a layer on
    average, until ``tfinal`` steps before the end; in those the ranks stay as they are. Both are shares of the run by
    default: see :mod:`adapt_core.methods.adalora.phases`.
    """

    init_r: int = option(12, gt=0, help="Rank of every update at the start.")
    target_r: int = option(8, gt=0, help="Average rank at the end; must be below init_r.")
    tinit: int | None = option(
        None, ge=0, help=f"Steps at the start in which no rank is taken away; by default {FIRST_SHARE:.0%} of the run."
    )
    tfinal: int | None = option(
        None,
        ge=0,
        help=f"Steps at the end in which the ranks stay as they are; by default {LAST_SHARE:.0%} of the run.",
    )
    deltaT: int = option(1, gt=0, help="Ranks are taken away every so many steps.")  # PEFT's name
    beta1: float = option(0.85, gt=0, lt=1, help="Smoothing of the importance of a weight.")
    beta2: float = option(0.85, gt=0, lt=1, help="Smoothing of the uncertainty of that importance.")
    orth_reg_weight: float = option(0.5, ge=0, help="Weight of the penalty that keeps P and Q orthogonal.")
    alpha: float = option(
        8, flat="alpha", library_name="lora_alpha", gt=0, help="Scaling: the update is multiplied by alpha / rank."
    )
    dropout: float = option(
        0.0, flat="dropout", library_name="lora_dropout", ge=0, lt=1, help="Dropout on the update's input."
    )
    target_modules: list[str] | str | None = option(
        None,
        flat="target_modules",
        help=f"Layers that get an update: {HOW_TO_NAME}; all linear layers by default.",
    )
    fan_in_fan_out: bool = option(
        False, flat="fan_in_fan_out", help="Weights are stored (in, out), as in transformers' Conv1D."
    )
    init_lora_weights: bool = option(
        True, help="Start at zero change: E is zero. With false, P, E and Q are drawn at random."
    )
    bias: Literal["none", "all", "lora_only"] = option("none", help="Which of the model's biases are trained too.")
    exclude_modules: list[str] | str | None = option(
        None, help="Layers that get no update though target_modules names them."
    )
    modules_to_save: list[str] = option([], help="Further modules that are trained whole and saved with the adapter.")
    layers_to_transform: list[int] | int | None = option(
        None, help="Only these blocks get an update, counted from 0; needs target_modules as names."
    )
    layers_pattern: list[str] | str | None = option(
        None, help="Name of the list of blocks, if it is not one that PEFT knows."
    )
    trainable_token_indices: list[int] | dict[str, list[int]] | None = option(
        None, help="Rows of the embedding that are trained too."
    )

    @model_validator(mode="after")
    def _shrinks(self) -> AdaloraOptions:
        if self.target_r >= self.init_r:
            raise ValueError(f"target_r ({self.target_r}) must be below init_r ({self.init_r}), the rank at the start")
        return self
