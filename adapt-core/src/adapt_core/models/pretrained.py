"""Loading models of transformers, with plain errors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedModel

from adapt_core.bundles import Hints, Model
from adapt_core.config.sections import ModelOptions
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer
from adapt_core.models.architecture import head_and_output, hints_for
from adapt_core.models.biases import settle_biases
from adapt_core.models.fresh import fresh_parts
from adapt_core.models.positions import counts_from_padding
from adapt_core.models.precision import HALF, dtype_name
from adapt_core.models.quantized import quantized_widths
from adapt_core.models.tokens import require_embeddings, settle_padding, tokenizer_of
from adapt_core.utils.files import require_permission
from adapt_core.utils.units import bytes_text


def load_model(
    auto_class: Any,
    options: ModelOptions,
    processor: Any,
    *,
    path: Path | None = None,
    train_head: bool | None = None,
    config: Mapping[str, Any],
    quantizer: Quantizer | None = None,
    head: Collection[str] = (),
) -> Model:
    """A model of transformers, float32 but for what is quantized, with its hints and with what a person should know.

    Args:
        auto_class: the ``AutoModelFor…`` of the task.
        options: the ``model`` section.
        processor: the model's, a tokenizer or one for images; a tokenizer and the model get one padding token.
        path: a saved whole model to load instead of the one in ``options``.
        train_head: passed on in the hints.
        config: values to set in the model's configuration.
        quantizer: of the base; the head and the output layer stay as they are.
        head: what modules inside the base that belong to the head too are called, as detectors have them.

    Raises:
        AdaptError: the model cannot be loaded, the checkpoint has no weights for most of it, or the tokenizer uses
            tokens for which the model has no embedding.
    """
    source = model_source(options, path)
    tokenizer = tokenizer_of(processor)
    notices: list[str] = []
    try:
        settings = AutoConfig.from_pretrained(source, **config)
        if tokenizer is not None:
            keeps_own = partial(_counts_from_padding, auto_class, settings)
            notices += settle_padding(tokenizer, settings, source, keeps_own)
        stored = settings.dtype
        quantized = quantizer.load_kwargs(kept_whole(auto_class, settings, head)) if quantizer else {}
        module, loaded = auto_class.from_pretrained(
            source,
            config=settings,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **{"dtype": torch.float32, **quantized},
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise unloadable("model", options, source, error) from error
    # Buffers of another shape, such as the classes' weights in a loss, are the model's own to make.
    buffers = {name for name, _ in module.named_buffers()}
    reshaped = {entry[0] for entry in loaded["mismatched_keys"]} - buffers
    missing = {*loaded["missing_keys"], *reshaped} - buffers
    hints = hints_for(module, missing, train_head, head)
    notices += fresh_parts(module, hints, missing, source)
    _require_own_shapes(hints, reshaped, source)
    if tokenizer is not None:
        notices += require_embeddings(tokenizer, module, source)
    if stored in HALF and not quantized_widths(module):
        size = bytes_text(sum(each.nbytes for each in module.parameters()))
        notices.append(
            f"{source} is stored in {dtype_name(stored)}. It is loaded in float32 and takes {size}: in 16 bits, small "
            "updates would round away."
        )
    return Model(module, processor, hints, tuple(notices))


def save_model(model: Model, folder: Path) -> None:
    """Writes a model of transformers and its processor so that ``from_pretrained`` loads them.

    Raises:
        AdaptError: the architecture cannot have what the model has, such as biases that merging added.
    """
    settle_biases(model.module)
    model.module.save_pretrained(folder)
    if model.processor is not None:
        model.processor.save_pretrained(folder)


def label_names(options: ModelOptions) -> list[str]:
    """The labels that a checkpoint's head has been trained on, by id; none where it has no head or no names for them.

    Raises:
        AdaptError: the model's configuration cannot be loaded.
    """
    source = model_source(options)
    try:
        names = AutoConfig.from_pretrained(source).id2label or {}
    except (OSError, ValueError) as error:
        raise unloadable("model", options, source, error) from error
    listed = [str(names[index]) for index in sorted(names)]
    # What transformers calls the outputs of a head without names.
    return [] if listed == [f"LABEL_{index}" for index in range(len(listed))] else listed


def model_source(options: ModelOptions, path: Path | None = None) -> str:
    """What ``from_pretrained`` takes; local folders absolute, so that an adapter finds its base from anywhere."""
    if path is not None:
        return str(path)
    return str(Path(options.path).expanduser().resolve()) if options.path else options.source


def kept_whole(auto_class: Any, settings: Any, head: Collection[str] = ()) -> list[str]:
    """The modules of a model that a quantizer leaves alone, found without making its weights."""
    return head_and_output(outline(auto_class, settings), head)


def outline(auto_class: Any, settings: Any) -> PreTrainedModel:
    """A model without its weights."""
    with torch.device("meta"):
        return auto_class.from_config(settings)  # type: ignore[no-any-return]


def _counts_from_padding(auto_class: Any, settings: Any) -> bool:
    return counts_from_padding(outline(auto_class, settings))


def _require_own_shapes(hints: Hints, reshaped: set[str], source: str) -> None:
    outside = [key for key in reshaped if not key.startswith(tuple(f"{name}." for name in hints.head) or "\0")]
    if outside:
        raise AdaptError(
            f"The weights in {source} do not fit its own config.json: {', '.join(sorted(outside)[:5])} "
            "have another shape",
            "Repair the folder, or load another model.",
        )


def unloadable(what: str, options: ModelOptions, source: str, error: Exception) -> AdaptError:
    """An error of ``from_pretrained`` in words; the library's own first line is the reason."""
    if options.path:
        try:
            for file in sorted(each for each in Path(source).glob("*") if each.is_file()):
                require_permission(file)
        except AdaptError as refused:
            return refused
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if options.path:
        hint = "A model folder holds config.json, the weights (model.safetensors) and the tokenizer's files."
    else:
        hint = "Check the name and the connection to the hub; a local folder goes into model.path (LOCAL_MODEL_PATH)."
    return AdaptError(f"The {what} of {source} cannot be loaded: {reason}", hint)
