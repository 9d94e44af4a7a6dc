"""How a model writes a text out of a text, by its configuration alone."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

from adapt_core.config.sections import ModelOptions
from adapt_core.errors import AdaptError
from adapt_core.models.pretrained import model_source, unloadable


def is_causal(options: ModelOptions) -> bool:
    """Whether a model has no encoder and goes on with its input; else it has an encoder and a decoder.

    Raises:
        AdaptError: it is of neither kind, or its configuration cannot be loaded.
    """
    settings = model_settings(options)
    kind = settings.model_type
    if kind in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        return False
    # An encoder such as BERT can be loaded as a decoder, but has learnt to be one only where it says so.
    decodes = kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES or getattr(settings, "is_decoder", False)
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and decodes:
        return True
    raise AdaptError(
        f"{options.source} is a model of the type {kind}, which does not write a text out of a text",
        "Use one of the kinds of T5, BART, mBART, Marian or NLLB, or a causal language model.",
    )


def model_settings(options: ModelOptions) -> Any:
    """A model's ``config.json``. Raises AdaptError where it cannot be loaded."""
    source = model_source(options)
    try:
        return AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise unloadable("model", options, source, error) from error
