"""Loading tokenizers of transformers, with plain errors, and how much of a text a model is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from adapt_core.config.sections import ModelOptions
from adapt_core.errors import AdaptError
from adapt_core.models.positions import configured_positions, usable_positions
from adapt_core.models.pretrained import model_source, unloadable
from adapt_core.models.tokens import embedding_rows, require_known
from adapt_nlp.data.views import largest

LONGEST = 512
"""Tokens of a text where neither the configuration nor the model sets a limit."""


def load_tokenizer(options: ModelOptions, path: Path | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer that belongs to a model, which settles with it what pads.

    Raises:
        AdaptError: it cannot be loaded, or its files are not there.
    """
    source = model_source(options, path)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source)
    # Broad: without their files, the classes of tokenizers fail with whatever that leads to in each.
    except Exception as error:
        raise unloadable("tokenizer", options, source, error) from error
    if not _knows_words(tokenizer):
        raise AdaptError(
            f"{source} has no tokenizer: without its files, {type(tokenizer).__name__} knows special tokens only, and "
            "every text would be the same",
            "Put the tokenizer's files beside the weights (tokenizer.json, or vocab.txt and the like): "
            "AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER) writes them.",
        )
    return tokenizer


def longest(asked: int | None, tokenizer: PreTrainedTokenizerBase, module: PreTrainedModel | None) -> int:
    """How many tokens of a text the model is given.

    Raises:
        AdaptError: the configuration asks for more than the model has positions for.
    """
    positions = usable_positions(module) if module is not None else None
    return _within(asked, tokenizer, positions, "task.max_length", type(module).__name__)


def longest_by_config(asked: int | None, tokenizer: PreTrainedTokenizerBase, options: ModelOptions, key: str) -> int:
    """The same before the model is loaded, by what its configuration says.

    Args:
        asked: what the run's configuration says.
        tokenizer: the model's.
        options: the ``model`` section.
        key: of the run's configuration, for the message.

    Raises:
        AdaptError: the model's configuration cannot be loaded, or has fewer positions than are asked for.
    """
    source = model_source(options)
    try:
        settings = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise unloadable("model", options, source, error) from error
    return _within(asked, tokenizer, configured_positions(settings), key, f"the model {options.source}")


def _within(asked: int | None, tokenizer: PreTrainedTokenizerBase, positions: int | None, key: str, model: str) -> int:
    if asked is None:
        return min(limit for limit in (LONGEST, tokenizer.model_max_length, positions) if limit)
    if positions and asked > positions:
        raise AdaptError(f"{key}: {asked} tokens, but {model} has {positions} positions", f"Give {positions} or less.")
    return asked


def require_known_tokens(
    tokenizer: PreTrainedTokenizerBase, module: Any, encoded: Sequence[Sequence[int]], texts: Iterable[str]
) -> None:
    """:func:`~adapt_core.models.tokens.require_known` for many rows; their texts are read only where it fails."""
    rows = embedding_rows(module)
    if rows is not None and largest(encoded) >= rows:
        require_known(tokenizer, module, encoded, cast(Sequence[str], texts))


def pad_behind(tokenizer: PreTrainedTokenizerBase, module: PreTrainedModel) -> None:
    """Has batches padded where a model that reads whole texts does not see it.

    That is behind them: positions are counted from the first token, padding or not. XLNet's kind, which reads the last
    place of all and counts positions from each other, has it in front.
    """
    tokenizer.padding_side = "left" if getattr(module.config, "summary_type", None) == "last" else "right"


def _knows_words(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a tokenizer has tokens for texts, beside special and added ones.

    Without its files it may still have these, and one for what begins a word.
    """
    added = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
    return len(set(tokenizer.get_vocab()) - added) > 1
