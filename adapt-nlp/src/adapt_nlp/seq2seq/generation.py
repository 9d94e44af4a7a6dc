"""Has a model of an encoder and a decoder write texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase


def padded(tokenizer: PreTrainedTokenizerBase, ids: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """Token ids and attention mask, int64 of shape (texts, tokens): padding stands behind the texts."""
    batch = tokenizer.pad({"input_ids": [list(each) for each in ids]}, return_tensors="pt")
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


def written(
    module: Any,
    tokenizer: PreTrainedTokenizerBase,
    batch: Mapping[str, torch.Tensor],
    settings: Mapping[str, Any],
    language: int | None,
) -> list[list[str]]:
    """What a model in evaluation mode writes for each text of a batch.

    Args:
        module: with a method on it or without.
        tokenizer: the model's.
        batch: from :func:`padded`, on any device.
        settings: arguments of transformers' ``generate``.
        language: the token that marks the target's language, which is no part of the text.

    Returns:
        The texts for each, without special tokens: one, or ``num_return_sequences``.
    """
    device = next(module.parameters()).device
    given = {name: each.to(device) for name, each in batch.items()}
    stops = {"tokenizer": tokenizer} if settings.get("stop_strings") else {}
    with torch.no_grad():
        found = module.generate(**given, **stops, **settings).tolist()
    # M2M100's tokenizer does not count its languages among the special tokens.
    ids = [[token for token in own if token != language] for own in found]
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    each = len(texts) // len(given["input_ids"])
    return [texts[start : start + each] for start in range(0, len(texts), each)]


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Within it, a model is in evaluation mode; its mode is left as it was."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def target_scores(module: Any, ids: Sequence[int], labels: Sequence[int]) -> torch.Tensor:
    """Log-probabilities, float32 of shape (labels + 1,), of a target's tokens, and of the likeliest at its last place.

    Args:
        module: in evaluation mode.
        ids: of the text.
        labels: of the target.
    """
    device = next(module.parameters()).device
    tokens, target = (torch.tensor([list(each)], device=device) for each in (ids, labels))
    with torch.inference_mode():
        logits = module(input_ids=tokens, attention_mask=torch.ones_like(tokens), labels=target).logits
        of_words = logits[0, -target.shape[1] :].float().log_softmax(-1)  # a soft prompt stands before them
        of_target = of_words.gather(-1, target[0, :, None])[:, 0]
        return torch.cat([of_target, of_words[-1:].max(-1).values]).cpu()
