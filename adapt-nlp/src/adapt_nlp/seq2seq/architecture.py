"""Whether a model can write a text out of a text, and how long a one, by its configuration alone."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES

from adapt_core.config.sections import ModelOptions
from adapt_core.errors import AdaptError
from adapt_core.models.positions import configured_positions
from adapt_core.models.pretrained import model_source, unloadable
from adapt_nlp.seq2seq.options import Seq2SeqOptions


def require_encoder_decoder(options: ModelOptions) -> None:
    """Raises AdaptError for a model without an encoder and a decoder, or whose configuration cannot be loaded."""
    settings = _settings(options)
    if settings.model_type in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        return
    raise AdaptError(
        f"{options.source} is a model of the type {settings.model_type}, which has no encoder and decoder to write a "
        "text out of a text with",
        "Use one of the kinds of T5, BART, mBART, Marian or NLLB. A causal model learns the same with the task "
        "text_generation, where dataset.prompt_column and dataset.completion_column name the two columns.",
    )


def require_room(options: ModelOptions, task: Seq2SeqOptions, new_tokens: int | None = None) -> None:
    """Raises AdaptError where a model has fewer positions than texts, targets or generated texts may have tokens.

    Args:
        options: the ``model`` section.
        task: how long each may be.
        new_tokens: how many are to be generated; None for what the task says.
    """
    settings = _settings(options)
    reads = configured_positions(settings)
    writes = getattr(settings, "max_decoder_position_embeddings", None) or reads  # LED's kind
    for asked, positions, key in (
        (task.max_input_length, reads, "task.max_input_length (max_input_length)"),
        (task.max_target_length, writes, "task.max_target_length (max_target_length)"),
        (task.generation_max_length, writes, "task.generation_max_length (generation_max_length)"),
        (new_tokens or 0, writes, "max_new_tokens"),
    ):
        if positions and asked > positions:
            raise AdaptError(
                f"{key}: {asked} tokens, but the model {options.source} has {positions} positions",
                f"Give {positions} or less.",
            )


def _settings(options: ModelOptions) -> Any:
    source = model_source(options)
    try:
        return AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise unloadable("model", options, source, error) from error
