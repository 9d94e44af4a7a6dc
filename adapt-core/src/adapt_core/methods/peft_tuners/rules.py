"""What the options of a tuner of PEFT must be together; what PEFT itself refuses is refused here before a run."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from adapt_core.options import Options

ALLOCATION = (
    "asa_target_subspaces",
    "init_warmup",
    "final_warmup",
    "mask_interval",
    "asa_importance_beta",
    "asa_uncertainty_beta",
    "asa_schedule_exponent",
)
"""What counts with ``use_asa`` alone."""


def one_of(chosen: str, default: str) -> type[Options]:
    """Rules for two options that exclude each other. The second is the one by default, and 0 where the first is given.

    Args:
        chosen: the option whose default is 0.
        default: the other.
    """

    class Exclusive(Options):
        @model_validator(mode="before")
        @classmethod
        def _other_is_off(cls, data: Any) -> Any:
            if isinstance(data, dict) and data.get(chosen) and default not in data:
                return {**data, default: 0}
            return data

        @model_validator(mode="after")
        def _one_is_given(self) -> Exclusive:
            if bool(getattr(self, chosen)) == bool(getattr(self, default)):
                raise ValueError(f"{chosen} and {default} say the same in two ways: give one of them, above 0")
            return self

    return Exclusive


class AdamssRules(Options):
    """AdaMSS: a schedule by which subspaces are frozen, or nothing of one."""

    @model_validator(mode="after")
    def _switched_on(self) -> AdamssRules:
        needs = {"svd_threshold": "use_dynamic_rank", **dict.fromkeys(ALLOCATION, "use_asa")}
        for name, switch in needs.items():
            if not getattr(self, switch) and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} has no effect without {switch}: true")
        return self

    @model_validator(mode="after")
    def _freezes(self) -> AdamssRules:
        given: Any = self
        if not given.use_asa:
            return self
        first, last, every = given.init_warmup, given.final_warmup, given.mask_interval
        if every < 1:
            raise ValueError(f"mask_interval ({every}) must be at least 1")
        if not 0 <= first < last:
            raise ValueError(f"init_warmup ({first}) must be 0 at least, and below final_warmup ({last})")
        # At init_warmup itself the schedule still keeps all.
        if last // every * every <= first:
            raise ValueError(
                f"mask_interval ({every}) has no multiple after init_warmup ({first}) and up to final_warmup ({last}), "
                "so that no subspace would be frozen"
            )
        if given.asa_target_subspaces < 2:
            raise ValueError(
                f"asa_target_subspaces ({given.asa_target_subspaces}) must be 2 at least: PEFT may leave one less "
                "than that, and without any nothing is trained"
            )
        for name in ("asa_importance_beta", "asa_uncertainty_beta"):
            if not 0 <= (value := getattr(given, name)) < 1:
                raise ValueError(f"{name} ({value}) must be 0 at least, and below 1")
        if given.asa_schedule_exponent <= 0:
            raise ValueError(f"asa_schedule_exponent ({given.asa_schedule_exponent}) must be above 0")
        return self


RULES: dict[str, type[Options]] = {
    "adamss": AdamssRules,
    "boft": one_of("boft_block_num", "boft_block_size"),
    "oft": one_of("r", "oft_block_size"),
}
"""By PEFT's names of the tuners."""
