"""The optimizer that a configuration names, with its options, tried on this machine."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from copy import copy
from typing import Any, cast

import torch
from transformers import Trainer, TrainingArguments
from transformers.training_args import OptimizerNames

from adapt_core.config.sections import TrainingOptions
from adapt_core.errors import AdaptError
from adapt_core.utils.spelling import nearest

KEY = "training.optimizer_options"


def optimizer_settings(
    arguments: TrainingArguments, model: Any, options: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The optimizer's class and arguments: the Trainer's own, and the options over them.

    The Trainer hands only some options of some optimizers on. So what the class takes is set here; for the rest, which
    the Trainer itself reads (``rank`` of GaLore, say), it is asked.

    Raises:
        AdaptError: an option is neither the optimizer's nor has an effect on what the Trainer makes.
    """
    find = Trainer.get_optimizer_cls_and_kwargs
    kind, settings = find(arguments, model)
    taken = {name for name in inspect.signature(kind).parameters if name not in ("params", "model", "kwargs")}
    for name, value in options.items():
        if name in taken:
            settings[name] = tuple(value) if isinstance(value, list) else value
            continue
        told = copy(arguments)
        told.optim_args = f"{name}={value}"
        asked = find(told, model)[1]
        changed = {key: each for key, each in asked.items() if key not in ("params", "model")}
        if all(changed[key] == settings.get(key) for key in changed):
            raise AdaptError(
                f"{KEY}: {name!r} has no effect on {OptimizerNames(arguments.optim).value}{nearest(name, taken)}",
                "Remove or correct it.",
            )
        settings.update(changed)
    return kind, settings


def check_optimizer(arguments: TrainingArguments, options: TrainingOptions) -> None:
    """Raises AdaptError when the optimizer cannot take a step on this machine: tried on a small parameter."""
    if "paged" in options.optimizer and arguments.device.type == "cpu":  # bitsandbytes would leave the paging out
        same = options.optimizer.removeprefix("paged_")
        known = {each.value for each in OptimizerNames}
        raise AdaptError(
            f"training.optimizer (OPTIMIZER): {options.optimizer} moves its state between the memory of a GPU and that "
            "of the CPU, and there is no GPU here",
            f"Use {same if same in known else 'adamw_torch'}.",
        )
    layer = torch.nn.Linear(64, 64, bias=False, device=arguments.device)
    layer.weight.grad = torch.ones_like(layer.weight)
    try:
        kind, settings = optimizer_settings(arguments, cast(Any, layer), options.optimizer_options)
        kind([layer.weight], **settings).step()
    except AdaptError:
        raise
    except Exception as error:  # whatever an optimizer of any library raises means that it does not work here
        if options.optimizer_options and isinstance(error, TypeError | ValueError):
            raise AdaptError(f"{KEY}: {options.optimizer} refuses its arguments: {error}") from error
        raise AdaptError(
            f"training.optimizer (OPTIMIZER): {options.optimizer} does not work on this machine "
            f"({arguments.device.type}): {error}",
            "Choose another, such as adamw_torch.",
        ) from error
