"""Loading tokenizers and models of transformers, with plain errors."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from adapt_core.config.sections import ModelOptions
from adapt_core.errors import AdaptError
from adapt_core.models.pretrained import model_source, unloadable

LONGEST = 512
"""Tokens of a text where neither the configuration nor the model sets a limit."""


def load_tokenizer(options: ModelOptions, path: Path | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer that belongs to a model. Raises AdaptError when it cannot be loaded."""
    source = model_source(options, path)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise unloadable("tokenizer", options, source, error) from error
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise AdaptError(
                f"The tokenizer of {source} has neither a padding nor an end token, so batches cannot be made"
            )
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def longest(asked: int | None, tokenizer: PreTrainedTokenizerBase, module: PreTrainedModel | None) -> int:
    """How many tokens of a text the model is given.

    Raises:
        AdaptError: the configuration asks for more than the model has positions for.
    """
    positions = getattr(getattr(module, "config", None), "max_position_embeddings", None)
    if asked is None:
        return min(limit for limit in (LONGEST, tokenizer.model_max_length, positions) if limit)
    if positions and asked > positions:
        raise AdaptError(
            f"task.max_length: {asked} tokens, but {type(module).__name__} has {positions} positions",
            f"Give {positions} or less.",
        )
    return asked
