"""The inputs of layers, as rows of a matrix: every real token, and no padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

IGNORED = -100
"""The label of what is not learnt from."""


def mask_of(batch: Mapping[str, Any]) -> dict[tuple[int, ...], Tensor]:
    """The tokens that count, by the shape (rows, tokens) of what they are tokens of.

    Padding does not count, nor do tokens whose label is ignored, since nothing is learnt from them. The tokens of an
    encoder and a decoder are told apart by how many there are. With as many in both, only places count that are real in
    both.
    """
    masks: dict[tuple[int, ...], Tensor] = {}
    given = [batch.get("attention_mask"), batch.get("decoder_attention_mask")]
    labels = batch.get("labels")
    if labels is not None and labels.dim() == 2 and not labels.is_floating_point():
        given.append(labels != IGNORED)
    for each in given:
        if each is not None and each.dim() == 2:
            shape = tuple(each.shape)
            masks[shape] = each.bool() & masks.get(shape, torch.ones_like(each, dtype=torch.bool))
    return masks


class States:
    """Gathers a layer's inputs until there are enough of them for one step of an incremental SVD.

    A layer that takes one vector a row, as a pooler does, would see too few in a small batch.

    Args:
        needed: how many a step needs.
    """

    def __init__(self, needed: int) -> None:
        self.gathering = False
        self._needed = needed
        self._held: dict[str, Tensor] = {}

    def __call__(self, inputs: Tensor | Sequence[Tensor], masks: Mapping[tuple[int, ...], Tensor], name: str) -> Tensor:
        """The inputs of shape (states, features); none while there are too few."""
        tensor = inputs if isinstance(inputs, Tensor) else inputs[0]
        mask = masks.get(tuple(tensor.shape[:-1])) if tensor.dim() == 3 else None
        states = tensor[mask] if mask is not None else tensor.reshape(-1, tensor.shape[-1])
        if not self.gathering:
            return states.contiguous()  # PEFT takes a hash of it as one row
        if name in self._held:
            states = torch.cat([self._held.pop(name), states])
        if len(states) < self._needed:
            self._held[name] = states
            return states[:0]
        return states
