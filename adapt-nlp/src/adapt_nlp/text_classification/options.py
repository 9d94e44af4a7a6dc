"""Options of text classification."""

from __future__ import annotations

from adapt_core.options import Options, option


class TextClassificationOptions(Options):
    """How texts become the model's input."""

    max_length: int | None = option(
        None, gt=0, help="Longest text in tokens, longer ones are cut; by default what the model takes, at most 512."
    )
