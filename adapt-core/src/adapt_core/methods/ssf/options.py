"""Options of SSF."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from adapt_core.methods.shared.layer_types import HOW_TO_NAME
from adapt_core.options import Options, option

Operation = Literal["linear", "conv", "layer_norm", "batch_norm", "embedding"]

DEFAULT: tuple[Operation, ...] = ("linear", "conv", "layer_norm", "batch_norm")


class SsfOptions(Options):
    """SSF: every output channel of a layer is multiplied by a learned scale, and a learned shift is added."""

    operations: list[Operation] | None = option(
        None,
        min_length=1,
        help="The kinds of layers whose output is scaled and shifted, outside the head; linear, conv, layer_norm and "
        "batch_norm by default, without layers that cannot take up a scale and a shift, such as convolutions that "
        "standardise their weight. Not together with target_modules.",
    )
    target_modules: list[str] | str | None = option(
        None,
        flat="target_modules",
        help=f"The layers in place of those of the operations: {HOW_TO_NAME}.",
    )
    init: Literal["identity", "normal"] = option(
        "identity", help="How it starts: scale 1 and shift 0, or the paper's, drawn around these (deviation 0.02)."
    )
    keep: Literal["auto", "input", "output"] = option(
        "auto",
        help="What a layer keeps for the backward pass: the output takes less memory, but must not be changed in "
        "place; auto keeps it where a first forward pass shows that it is not.",
    )
    modules_to_save: list[str] = option([], help="Further modules that are trained whole and saved with the adapter.")

    @model_validator(mode="after")
    def _one_says_where(self) -> SsfOptions:
        if self.operations is not None and self.target_modules is not None:
            raise ValueError("operations and target_modules both say which layers are scaled and shifted; remove one")
        return self
