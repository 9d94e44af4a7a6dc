"""Makes a tokenizer and a model agree on their tokens: which one pads, and that every one has an embedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from adapt_core.errors import AdaptError
from adapt_core.models.layers import input_embeddings
from adapt_core.utils.units import listed, shortened

SAMPLE = "a \U0010fffd"
"""A text with a character that few tokenizers know: its tokens are those that texts may have."""


def tokenizer_of(processor: Any) -> PreTrainedTokenizerBase | None:
    """The tokenizer that a processor is or holds; None where it reads no text."""
    found = getattr(processor, "tokenizer", processor)
    return found if isinstance(found, PreTrainedTokenizerBase) else None


def settle_padding(tokenizer: Any, settings: Any, source: str, keeps_own: Callable[[], bool]) -> tuple[str, ...]:
    """Makes the padding token of a tokenizer and of a model's configuration one, in place.

    A classifier on a decoder looks for the last token that is no padding, by the configuration; batches are padded by
    the tokenizer. Where the two differ, a text's scores would depend on its neighbours in the batch.

    The tokenizer's is taken. Where it has none with an embedding, it is the model's, if that is a special token which
    texts do not hold, else the end token, else another such token. A model that tells positions by its padding token
    keeps its own.

    Args:
        tokenizer: of the model.
        settings: the model's configuration, before the model is made.
        source: what the model is called, for messages.
        keeps_own: whether the model tells positions by its padding token; only asked where the two differ.

    Returns:
        A notice, where the tokenizer's padding token has no embedding.

    Raises:
        AdaptError: there is no token to pad with.
    """
    both = (settings, _of_text(settings))
    rows = getattr(both[1], "vocab_size", None) or len(tokenizer)
    given, own = tokenizer.pad_token, next((each.pad_token_id for each in both if _has_padding(each)), None)
    token = tokenizer.convert_ids_to_tokens(own) if own is not None and 0 <= own < rows else None
    if token is not None and token != given and keeps_own():
        tokenizer.pad_token = token
    elif given is None or tokenizer.pad_token_id >= rows:
        tokenizer.pad_token = _spare(tokenizer, token, rows, source)
    for each in both:
        each.pad_token_id = tokenizer.pad_token_id
    if given is None or tokenizer.convert_tokens_to_ids(given) < rows:
        return ()
    return (
        f"The tokenizer of {source} pads with {given!r}, for which the model has no embedding: "
        f"{tokenizer.pad_token!r} pads in its place.",
    )


def require_embeddings(tokenizer: PreTrainedTokenizerBase, module: nn.Module, source: str) -> tuple[str, ...]:
    """Holds a tokenizer's tokens against the rows of a model's embedding.

    Returns:
        A notice, where there are tokens without one that a text need not hold.

    Raises:
        AdaptError: the tokenizer puts such a token into every text.
    """
    rows = embedding_rows(module)
    by_id = sorted((index, token) for token, index in tokenizer.get_vocab().items() if rows is not None)
    beyond = {index: token for index, token in by_id if index >= (rows or 0)}
    if not beyond or rows is None:
        return ()
    if always := [beyond[each] for each in tokenizer("a")["input_ids"] if each in beyond]:
        raise _without_embedding(source, rows, always, "puts into every text")
    return (
        f"The tokenizer of {source} has more tokens than the model's embedding has rows ({rows:,}): "
        f"{listed([repr(each) for each in beyond.values()])}. A text that holds one cannot be read.",
    )


def require_known(
    tokenizer: PreTrainedTokenizerBase, module: nn.Module, encoded: Sequence[Sequence[int]], texts: Sequence[str]
) -> None:
    """Raises AdaptError for a text with a token that the model has no embedding for.

    Args:
        tokenizer: that encoded the texts.
        module: the model, with a method on it or without.
        encoded: the ids of each text.
        texts: as they are, for the message.
    """
    rows = embedding_rows(module)
    if rows is None:
        return
    for ids, text in zip(encoded, texts, strict=True):
        if max(ids, default=0) >= rows:
            token = tokenizer.convert_ids_to_tokens(next(each for each in ids if each >= rows))
            raise AdaptError(
                f"The text {shortened(text)} holds the token {token!r}, for which the model has no embedding: the "
                f"tokenizer has more tokens than it has rows ({rows:,})",
                REMEDY,
            )


def embedding_rows(module: nn.Module) -> int | None:
    """How many tokens a model has embeddings for, with a method on it or without; None where it has no table."""
    table: Any = input_embeddings(module)
    plain = table.get_base_layer() if hasattr(table, "get_base_layer") else table
    return getattr(plain, "num_embeddings", None)


REMEDY = (
    "Load the tokenizer that belongs to the model, or give the model embeddings for its tokens, "
    "model.resize_token_embeddings(len(tokenizer)), and save it."
)


def _of_text(settings: Any) -> Any:
    """The part of a configuration that is about text; all of it where none is, or where several parts are."""
    try:
        return settings.get_text_config()
    except ValueError:
        return settings


def _without_embedding(source: str, rows: int, tokens: list[Any], does: str) -> AdaptError:
    return AdaptError(
        f"The tokenizer of {source} {does} {listed([repr(each) for each in dict.fromkeys(tokens)])}, for which the "
        f"model has no embedding: it has {rows:,} rows",
        REMEDY,
    )


def _has_padding(settings: Any) -> bool:
    return isinstance(getattr(settings, "pad_token_id", None), int)


def _spare(tokenizer: Any, own: str | None, rows: int, source: str) -> str:
    """A special token to pad with that no text holds, or as a last resort one that a text may hold."""
    ids = {each: tokenizer.convert_tokens_to_ids(each) for each in tokenizer.all_special_tokens}
    wanted = dict.fromkeys([own, tokenizer.eos_token, *ids])
    candidates: list[str] = [each for each in wanted if each in ids and ids[each] < rows]
    if not candidates:
        raise AdaptError(
            f"The tokenizer of {source} has neither a padding nor an end token, so batches cannot be made",
            "Give it one: tokenizer.add_special_tokens({'pad_token': …}), with an embedding in the model, and save it.",
        )
    held = set(tokenizer(SAMPLE)["input_ids"])
    return next((each for each in candidates if ids[each] not in held), candidates[0])
