"""Which layers take up a scale and a shift into their weight and bias."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from adapt_core.models.layers import (
    SHORTENED,
    differs,
    outputs_of,
    own_function,
    plain_class,
    remembered,
    same,
    twin_of,
    why_not_stored,
)
from adapt_core.peft.ssf.channels import channels_of, fold


def why_not_foldable(layer: nn.Module, *, scale: bool = True) -> str | None:
    """Why a layer cannot take up a scale and a shift of its output; None where it can.

    A class with a ``forward`` of its own is tried: scale and shift are folded into a copy with random weights, which
    must then give its former output, scaled and shifted. It does not where it applies an activation, or standardises
    its weight first.

    Args:
        layer: one of :data:`adapt_core.peft.ssf.channels.OPERATIONS`.
        scale: whether there is one, and not a shift alone.
    """
    if reason := why_not_stored(layer, *(("weight", "bias") if scale else ("bias",))):
        return reason
    if getattr(layer, "max_norm", None) is not None:
        return SHORTENED
    kind = plain_class(layer)
    if kind is None or not own_function(layer, kind):
        return None
    return remembered(_why_not_folded, layer, scale=scale)


def _why_not_folded(layer: nn.Module, *, scale: bool) -> str | None:
    kind: Any = plain_class(layer)
    twin = twin_of(layer)
    before = outputs_of(twin)
    if before is None:
        return differs(kind)
    channels = channels_of(twin, before)
    if before.shape[channels.axis] != channels.count:
        return differs(kind)
    generator = torch.Generator().manual_seed(2)
    factor = 0.5 + torch.rand(channels.count, generator=generator) if scale else None
    shift = torch.randn(channels.count, generator=generator)
    fold(twin, factor, shift)
    after = outputs_of(twin)
    moved = before.movedim(channels.axis, -1)
    expected = (moved if factor is None else moved * factor) + shift
    return None if after is not None and same(after.movedim(channels.axis, -1), expected) else differs(kind)
