"""Options of LoRA: the usual ones under their usual short names, PEFT's others under PEFT's."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from adapt_core.methods.shared.layer_types import HOW_TO_NAME
from adapt_core.options import Options, option
from adapt_core.utils.spelling import nearest

STARTS = ("gaussian", "orthogonal", "pissa", "olora", "eva")
"""Named ways to start, beside true, false and ``pissa_niter_N``."""

START_OPTIONS = {"eva_rho": "eva", "eva_tau": "eva", "eva_whiten": "eva", "loftq_iter": "loftq"}
"""Options that have a meaning with one start alone, which is given here."""

START_HELP = (
    "How the update starts: true, gaussian and orthogonal at zero change; pissa (Meng et al. 2024, arXiv:2404.02948), "
    "pissa_niter_N (faster, by N iterations) and olora (Büyükakyüz 2024, arXiv:2406.01775) with a part of the weights, "
    "and are saved as an ordinary LoRA of twice the rank; eva (Paischer et al. 2024, arXiv:2410.07170) at zero change "
    "along the directions in which the training data varies most, with ranks moved to the layers where they explain "
    "most"
)


def starts_with_weights(options: LowRankOptions) -> bool:
    """Whether the update takes over a part of the base's weights at the start."""
    return str(options.init_lora_weights).startswith(("pissa", "olora"))


class LowRankOptions(Options):
    """What LoRA and DoRA have in common: ``A`` of shape (r, in) and ``B`` of shape (out, r), and how they start."""

    starts: ClassVar[tuple[str, ...]] = STARTS

    r: int = option(8, flat="r", gt=0, help="Rank of the update.")
    alpha: float = option(
        16, flat="alpha", library_name="lora_alpha", gt=0, help="Scaling: the update is multiplied by alpha / r."
    )
    dropout: float = option(
        0.1, flat="dropout", library_name="lora_dropout", ge=0, lt=1, help="Dropout on the update's input."
    )
    target_modules: list[str] | str | None = option(
        None,
        flat="target_modules",
        help=f"Layers that get an update: {HOW_TO_NAME}; all linear layers by default.",
    )
    fan_in_fan_out: bool = option(
        False, flat="fan_in_fan_out", help="Weights are stored (in, out), as in transformers' Conv1D."
    )
    init_lora_weights: bool | str = option(
        True,
        flat="init_lora_weights",
        examples=[True, False, *STARTS, "pissa_niter_16"],
        help=f"{START_HELP}.",
    )
    eva_rho: float = option(
        2.0, ge=1, help="With eva: no layer gets more than this times r as its rank; 1 leaves the ranks alike."
    )
    eva_tau: float = option(
        0.99, ge=0, le=1, help="With eva: a direction has settled when its cosine from batch to batch is this."
    )
    eva_whiten: bool = option(
        False, help="With eva: scale the directions to equal variance, which can help with images."
    )
    use_rslora: bool = option(False, help="Scale by alpha / sqrt(r) instead (Kalajdzievski 2023, arXiv 2312.03732).")
    bias: Literal["none", "all", "lora_only"] = option("none", help="Which of the model's biases are trained too.")
    lora_bias: bool = option(False, help="Give the update's second matrix a bias.")
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
    rank_pattern: dict[str, int] = option({}, help="Another r for layers whose name matches the key.")
    alpha_pattern: dict[str, float] = option({}, help="Another alpha for layers whose name matches the key.")
    trainable_token_indices: list[int] | dict[str, list[int]] | None = option(
        None, help="Rows of the embedding that are trained too."
    )

    @field_validator("init_lora_weights", mode="before")
    @classmethod
    def _boolean_in_words(cls, value: Any) -> Any:
        """``"True"`` is a boolean here too, though the field also takes words."""
        words = {"true": True, "false": False}
        return words.get(value.lower(), value) if isinstance(value, str) else value

    @field_validator("init_lora_weights")
    @classmethod
    def _known_start(cls, value: bool | str) -> bool | str:
        if isinstance(value, str) and value not in cls.starts and not re.fullmatch(r"pissa_niter_[1-9]\d*", value):
            raise ValueError(f"unknown start {value!r}{nearest(value, (*cls.starts, 'pissa_niter_16'))}")
        return value

    @model_validator(mode="after")
    def _can_be_converted(self) -> Self:
        if starts_with_weights(self) and (self.use_rslora or self.rank_pattern or self.alpha_pattern):
            raise ValueError(
                f"init_lora_weights={self.init_lora_weights} is saved as an ordinary LoRA of twice the rank, which "
                "use_rslora, rank_pattern and alpha_pattern do not allow; remove one"
            )
        return self

    @model_validator(mode="after")
    def _options_of_the_start(self) -> Self:
        if self.init_lora_weights == "eva" and (self.lora_bias or self.trainable_token_indices):
            raise ValueError(
                "init_lora_weights=eva starts the updates of linear layers; remove lora_bias and "
                "trainable_token_indices"
            )
        fields = type(self).model_fields
        for name, start in START_OPTIONS.items():
            if name in fields and start != self.init_lora_weights and getattr(self, name) != fields[name].default:
                raise ValueError(f"{name} belongs to init_lora_weights={start}; set that, or remove {name}")
        return self


class LoraOptions(LowRankOptions):
    """LoRA: ``W x + alpha / r * B A dropout(x)``."""

    starts: ClassVar[tuple[str, ...]] = (*STARTS, "loftq")

    init_lora_weights: bool | str = option(
        True,
        flat="init_lora_weights",
        examples=[True, False, *STARTS, "loftq", "pissa_niter_16"],
        help=f"{START_HELP}; loftq (Li et al. 2023, arXiv:2310.08659) with what quantization to 4 bits took from the "
        "weights; where the base is not quantized, the values of weights in 4 bits take the place of its own, and it "
        "is saved as well.",
    )
    loftq_iter: int = option(
        1, ge=1, help="With loftq on an unquantized base: how many times it quantizes and approximates the rest."
    )
    target_parameters: list[str] | None = option(
        None, help="Parameters, not layers, that get an update (experts stored as one tensor); without dropout."
    )

    @model_validator(mode="after")
    def _parameters_are_no_layers(self) -> Self:
        if not self.target_parameters:
            return self
        if (start := self.init_lora_weights) not in (True, False, "gaussian"):
            raise ValueError(f"init_lora_weights={start} starts the updates of layers; remove target_parameters")
        if self.dropout or self.lora_bias:
            raise ValueError(
                "target_parameters get an update of their values, which no input goes through: set dropout to 0 and "
                "leave lora_bias out"
            )
        return self


class DoraOptions(LowRankOptions):
    """DoRA: the weight's direction ``W + alpha / r * B A``, normalised per output, times a trained magnitude."""

    r: int = option(16, flat="r", gt=0, help="Rank of the update of the direction.")
    alpha: float = option(
        8, flat="alpha", library_name="lora_alpha", gt=0, help="Scaling: the update is multiplied by alpha / r."
    )

    @field_validator("init_lora_weights", mode="before")
    @classmethod
    def _not_loftq(cls, value: Any) -> Any:
        if value == "loftq":
            raise ValueError("loftq starts the update of lora; dora's magnitudes are of the quantized weights")
        return value
