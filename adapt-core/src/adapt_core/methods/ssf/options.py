"""Options of SSF."""

from __future__ import annotations

from typing import Literal

from adapt_core.options import Options, option

Operation = Literal["linear", "conv", "layer_norm", "batch_norm", "embedding"]


class SsfOptions(Options):
    """SSF: every output channel of a layer is multiplied by a learned scale, and a learned shift is added."""

    operations: list[Operation] = option(
        ["linear", "conv", "layer_norm", "batch_norm"],
        min_length=1,
        help="The kinds of layers whose output is scaled and shifted, outside the head.",
    )
    target_modules: list[str] | str | None = option(
        None,
        flat="target_modules",
        help="Only these layers: names, one regular expression, or presets (attention, mlp, all-linear, conv, all); "
        "all of the operations by default.",
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
