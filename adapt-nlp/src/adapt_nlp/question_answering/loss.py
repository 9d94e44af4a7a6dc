"""A step of question answering, with its loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.nn.functional import cross_entropy

from adapt_nlp.question_answering.encoding import WINDOW_KEY

PLACES = ("start_positions", "end_positions")


def step(module: Any, batch: Mapping[str, Any]) -> Mapping[str, Any]:
    """The outputs for a batch of windows, and as ``loss`` the mean over windows of the cross entropies of both places.

    The loss of transformers' models has padding among the places to choose from, so that a window's depends on how far
    its batch is padded. Here padding is left out.

    Args:
        module: the model.
        batch: with ``start_positions`` and ``end_positions``, of shape (windows,).
    """
    given = {name: value for name, value in batch.items() if name not in (*PLACES, WINDOW_KEY)}
    outputs = module(**given)
    losses = []
    for name, place in zip(("start_logits", "end_logits"), PLACES, strict=True):
        logits = outputs[name].float()  # (windows, tokens)
        if "attention_mask" in batch:
            logits = logits.masked_fill(batch["attention_mask"] == 0, float("-inf"))
        losses.append(cross_entropy(logits, batch[place]))
    return {**outputs, "loss": sum(losses) / len(losses)}
