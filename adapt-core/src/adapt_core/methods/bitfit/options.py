"""Options of BitFit."""

from __future__ import annotations

from adapt_core.methods.shared.layer_types import HOW_TO_NAME
from adapt_core.options import Options, option


class BitfitOptions(Options):
    """BitFit: of every layer, the bias alone is trained. Layers without one stay as they are."""

    target_modules: list[str] | str | None = option(
        None,
        flat="target_modules",
        help=f"Only these layers: {HOW_TO_NAME}; every layer with a bias by default, "
        "but for those with an activation inside, say, that cannot take up a shift.",
    )
    modules_to_save: list[str] = option([], help="Further modules that are trained whole and saved with the adapter.")
