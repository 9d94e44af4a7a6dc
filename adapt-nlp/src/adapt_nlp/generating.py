"""Generating text with a model of transformers, and showing it beside what it should have been."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from adapt_core.bundles import Section
from adapt_core.utils.seeds import derived_seed

GREEDY: Mapping[str, Any] = {"do_sample": False, "num_beams": 1}
"""Generates the same each time, whatever a model's own settings say."""


@dataclass(frozen=True)
class Generated:
    """A text that a model generated in an evaluation.

    Attributes:
        row: the evaluation row, by its number.
        prompt: what it was given.
        reference: what it should have generated.
        text: what it generated.
    """

    row: int
    prompt: str
    reference: str
    text: str


def settle_generation(module: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Makes a model pad as its tokenizer does where it generates, and end where it knows no end of its own."""
    settings = module.generation_config
    settings.pad_token_id = tokenizer.pad_token_id
    if settings.eos_token_id is None:
        settings.eos_token_id = tokenizer.eos_token_id


def left_padded(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """Token ids and attention mask, int64 of shape (prompts, tokens): padding stands before the prompts."""
    width = max(map(len, prompts))
    padding: Any = tokenizer.pad_token_id
    return {
        "input_ids": torch.tensor([[padding] * (width - len(ids)) + list(ids) for ids in prompts]),
        "attention_mask": torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]),
    }


def generate(
    module: Any, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[int]], settings: Mapping[str, Any]
) -> list[list[str]]:
    """What a causal model goes on with, in evaluation mode; the model's mode is left as it was.

    Args:
        module: with a method on it or without.
        tokenizer: the model's.
        prompts: token ids, none of them empty.
        settings: arguments of transformers' ``generate``.

    Returns:
        The texts for each prompt, without it and without special tokens: one, or ``num_return_sequences``.
    """
    device = next(module.parameters()).device
    batch = {name: each.to(device) for name, each in left_padded(tokenizer, prompts).items()}
    stops = {"tokenizer": tokenizer} if settings.get("stop_strings") else {}
    with evaluating(module), torch.no_grad():
        ids = module.generate(**batch, pad_token_id=tokenizer.pad_token_id, **stops, **settings)
    texts = tokenizer.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    each = len(texts) // len(prompts)
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


@contextmanager
def seeded(*parts: Any) -> Iterator[None]:
    """Within it, draws follow from these parts of a seed; the random state is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(*parts))
        yield


def beside_references(texts: Sequence[Generated]) -> Section:
    """A section of the report."""
    rows = [[each.prompt, each.reference, each.text] for each in texts]
    return Section("Generated texts", "table", ["prompt", "reference", "generated"], rows)
