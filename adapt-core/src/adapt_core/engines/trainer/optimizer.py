"""The optimizer and the schedule that a configuration names, with their options, tried on this machine."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import Any, cast

import torch
from torch import nn
from transformers import Trainer, TrainingArguments, get_scheduler
from transformers.training_args import OptimizerNames

from adapt_core.engines.common.optimization_options import BY_EPOCH, is_class
from adapt_core.engines.common.schedules import schedule_by_epoch
from adapt_core.engines.trainer.options import TrainerOptions
from adapt_core.errors import AdaptError
from adapt_core.plugins.references import resolve
from adapt_core.utils.spelling import nearest

KEY = "training.optimizer_options"


def optimizer_settings(arguments: TrainingArguments, model: Any, options: TrainerOptions) -> tuple[Any, dict[str, Any]]:
    """The optimizer's class and arguments: the Trainer's own, and the options over them.

    A class that is named as ``"module:Class"`` gets the learning rate and the options, and parameters in groups that
    carry the weight decay.

    The Trainer hands only some options of some optimizers on. So what the class takes is set here; for the rest, which
    the Trainer itself reads (``rank`` of GaLore, say), it is asked.

    Raises:
        AdaptError: an option is neither the optimizer's nor has an effect on what the Trainer makes.
    """
    if is_class(options.optimizer):
        return resolve(options.optimizer), {"lr": options.lr, **_values(options.optimizer_options)}
    find = Trainer.get_optimizer_cls_and_kwargs
    kind, settings = find(arguments, model)
    taken = {name for name in inspect.signature(kind).parameters if name not in ("params", "model", "kwargs")}
    for name, value in _values(options.optimizer_options).items():
        if name in taken:
            settings[name] = value
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


def grouped(
    module: nn.Module, groups: Sequence[Mapping[str, Any]], decayed: Collection[str], decay: float
) -> list[dict[str, Any]]:
    """What is trained and in none of a method's groups of parameters, and these groups after it.

    The log tells the learning rate of the first group.

    Args:
        module: the model.
        groups: the method's own; weight decay is the configuration's where a group does not say.
        decayed: names of the parameters that weight decay is for.
        decay: the configuration's weight decay.
    """
    own = [{"weight_decay": decay, **group, "params": list(group["params"])} for group in groups]
    claimed = {id(each) for group in own for each in group["params"]}
    rest = {name: each for name, each in module.named_parameters() if each.requires_grad and id(each) not in claimed}
    kinds = [([each for name, each in rest.items() if (name in decayed) == wanted], wanted) for wanted in (True, False)]
    return [*({"params": each, "weight_decay": decay if wanted else 0.0} for each, wanted in kinds if each), *own]


def schedule(options: TrainerOptions, optimizer: Any, steps_of_epoch: int, epochs: int) -> Any:
    """The schedule that a configuration names; None where it is one of transformers'.

    Args:
        options: the ``training`` section.
        optimizer: whose rate it sets.
        steps_of_epoch: optimizer steps in an epoch.
        epochs: of the whole run, a begun one counted.
    """
    if options.scheduler in BY_EPOCH:
        return schedule_by_epoch(options, optimizer, steps_of_epoch, epochs)
    if not is_class(options.scheduler):
        return None
    return resolve(options.scheduler)(optimizer, **_values(options.scheduler_options))


def check_schedule(options: TrainerOptions) -> None:
    """Raises AdaptError when the learning-rate schedule cannot be made from its options."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=options.lr)
    try:
        if schedule(options, optimizer, 1, 1) is None:
            get_scheduler(
                options.scheduler,
                optimizer,
                num_warmup_steps=1,
                num_training_steps=1000,
                scheduler_specific_kwargs=dict(options.scheduler_options),
            )
    except (TypeError, ValueError) as error:
        raise AdaptError(
            f"training.scheduler (SCHEDULER_TYPE): {options.scheduler} cannot be made: {error}",
            "Give its arguments in training.scheduler_options.",
        ) from error


def _values(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as Python's optimizers take them: YAML has lists where they have tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def require_paging(optimizer: str, device: str) -> None:
    """Raises AdaptError for a paged optimizer on a CPU: bitsandbytes would leave the paging out.

    Args:
        optimizer: its name.
        device: the type of the device.
    """
    if "paged" in optimizer and device == "cpu":
        same = optimizer.removeprefix("paged_")
        known = {each.value for each in OptimizerNames}
        raise AdaptError(
            f"training.optimizer (OPTIMIZER): {optimizer} moves its state between the memory of a GPU and that of the "
            "CPU, and there is no GPU here",
            f"Use {same if same in known else 'adamw_torch'}.",
        )


def check_optimizer(arguments: TrainingArguments, options: TrainerOptions) -> None:
    """Raises AdaptError when the optimizer cannot take a step on this machine: tried on a small parameter."""
    require_paging(options.optimizer, arguments.device.type)
    layer = torch.nn.Linear(64, 64, bias=False, device=arguments.device)
    layer.weight.grad = torch.ones_like(layer.weight)
    try:
        kind, settings = optimizer_settings(arguments, cast(Any, layer), options)
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
