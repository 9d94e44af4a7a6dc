"""Loading models of transformers, with plain errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase

from adapt_core.bundles import Model
from adapt_core.config.sections import ModelOptions
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer
from adapt_core.models.architecture import head_and_output, hints_for
from adapt_core.models.biases import settle_biases
from adapt_core.utils.files import require_permission


def load_model(
    auto_class: Any,
    options: ModelOptions,
    tokenizer: PreTrainedTokenizerBase,
    *,
    path: Path | None = None,
    train_head: bool | None = None,
    config: Mapping[str, Any],
    quantizer: Quantizer | None = None,
) -> Model:
    """A model of transformers with its hints: which of its modules are the head, and which are fresh.

    Args:
        auto_class: the ``AutoModelFor…`` of the task.
        options: the ``model`` section.
        tokenizer: becomes the model's processor; its padding token is set in the model.
        path: a saved whole model to load instead of the one in ``options``.
        train_head: passed on in the hints.
        config: values to set in the model's configuration.
        quantizer: of the base; the head and the output layer stay as they are.

    Raises:
        AdaptError: the model cannot be loaded, or the checkpoint has no weights for most of it.
    """
    source = model_source(options, path)
    try:
        settings = AutoConfig.from_pretrained(source, **config)
        if settings.pad_token_id is None:
            settings.pad_token_id = tokenizer.pad_token_id
        further = quantizer.load_kwargs(kept_whole(auto_class, settings)) if quantizer else {}
        module, loaded = auto_class.from_pretrained(
            source, config=settings, ignore_mismatched_sizes=True, output_loading_info=True, **further
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise unloadable("model", options, source, error) from error
    reshaped = {entry[0] for entry in loaded["mismatched_keys"]}
    model = Model(module, tokenizer, hints_for(module, {*loaded["missing_keys"], *reshaped}, train_head))
    _require_pretrained(module, model, reshaped, source)
    return model


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


def kept_whole(auto_class: Any, settings: Any) -> list[str]:
    """The modules of a model that a quantizer leaves alone, found without making its weights."""
    with torch.device("meta"):
        return head_and_output(auto_class.from_config(settings))


def _require_pretrained(module: PreTrainedModel, model: Model, reshaped: set[str], source: str) -> None:
    made = {id(each) for name in model.hints.fresh for each in module.get_submodule(name).parameters()}
    made |= {id(module.get_parameter(name)) for name in model.hints.loose}
    counts = {True: 0, False: 0}
    for parameter in module.parameters():
        counts[id(parameter) in made] += parameter.numel()
    if counts[True] > counts[False]:
        raise AdaptError(
            f"{source} holds no weights for most of {type(module).__name__}: {counts[True]:,} of "
            f"{sum(counts.values()):,} parameters would start at random",
            "Is it the right checkpoint, and for the right architecture?",
        )
    outside = [key for key in reshaped if not key.startswith(tuple(f"{name}." for name in model.hints.head) or "\0")]
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
