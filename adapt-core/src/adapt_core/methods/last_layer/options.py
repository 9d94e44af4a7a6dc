"""Options of last-layer tuning."""

from __future__ import annotations

from adapt_core.options import Options, option


class LastLayerOptions(Options):
    """Which layers are trained."""

    blocks: int = option(
        0,
        flat="last_layer",
        ge=0,
        help="Train this many of the model's last blocks beside its head; they need the low learning rate of method "
        "full, not that of a head alone.",
    )
