"""How many tokens a model has positions for, and whether it tells them by its padding token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from adapt_core.models.layers import input_embeddings

POSITIONS = ("max_position_embeddings", "max_encoder_position_embeddings")
"""What configurations call the number of positions."""


def usable_positions(module: nn.Module) -> int | None:
    """How many tokens of a text a transformers model has positions for; None where it sets no limit.

    Models of RoBERTa's kind count positions from behind their padding token's index: of a table of 514 rows, 512 are
    of use where that index is 1.
    """
    positions = configured_positions(getattr(module, "config", None))
    if positions is None:
        return None
    return min((positions - skipped for skipped in _skipped(module, positions)), default=positions)


def counts_from_padding(module: nn.Module) -> bool:
    """Whether a model's positions depend on which token it takes for padding, so that it must keep its own."""
    positions = configured_positions(getattr(module, "config", None))
    tables = positions is not None and any(True for _ in _skipped(module, positions))
    # Sinusoids are computed, by a module of their own (M2M100, NLLB, FSMT).
    return tables or any(
        "position" in type(each).__name__.lower() and isinstance(getattr(each, "padding_idx", None), int)
        for each in module.modules()
    )


def configured_positions(config: Any) -> int | None:
    """How many positions a model's configuration speaks of; None where it speaks of none.

    :func:`usable_positions` is exact, and needs the model.
    """
    found = [getattr(each, name, None) for each in (config, getattr(config, "text_config", None)) for name in POSITIONS]
    return next((each for each in found if isinstance(each, int) and each > 0), None)


def _skipped(module: nn.Module, positions: int) -> Iterator[int]:
    """The rows at the start of each table of positions that no token of a text gets.

    Such a table is a lookup of as many rows as there are positions, in a module that keeps the index of the padding
    token, from behind which it counts, and marks that row of the table as padding too.
    """
    words = input_embeddings(module)
    for parent in module.modules():
        padding = getattr(parent, "padding_idx", None)
        if not isinstance(padding, int):
            continue
        for child in parent.children():
            weight = getattr(child, "weight", None)
            marked = getattr(child, "padding_idx", None) == padding
            if child is not words and marked and weight is not None and weight.shape[0] == positions:
                yield padding + 1
