"""The optimizer and the schedule that a configuration names, in MMEngine's wrapper."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import nn
from transformers import Trainer, TrainingArguments, get_scheduler

from adapt_core.engines.common.optimization_options import BY_EPOCH, is_class
from adapt_core.engines.common.schedules import schedule_by_epoch
from adapt_core.engines.trainer.optimizer import grouped, require_paging
from adapt_core.errors import AdaptError
from adapt_core.plugins.references import resolve
from adapt_vision.engines.mmengine.options import BITSANDBYTES, OPTIMIZERS, RunnerOptions


class AutocastOptimWrapper(OptimWrapper):  # type: ignore[misc]  # MMEngine ships no types
    """MMEngine's wrapper with steps in bfloat16, on any device: MMEngine's own for mixed precision needs a GPU."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of a forward pass."""
        with super().optim_context(model), autocast(model, torch.bfloat16):
            yield


def autocast(module: nn.Module, precision: torch.dtype | None) -> Any:
    """Mixed precision on a module's device; None for none."""
    device = next(module.parameters()).device.type
    return torch.autocast(device, dtype=precision, enabled=precision is not None)


def precision_of(options: RunnerOptions, device: torch.device) -> torch.dtype | None:
    """In what a forward pass computes on a device; None for float32 alone."""
    if options.fp16 or (options.amp and device.type == "cuda"):
        return torch.float16
    return torch.bfloat16 if options.bf16 or options.amp else None


def wrapped_optimizer(
    module: nn.Module, groups: Sequence[Mapping[str, Any]] | None, options: RunnerOptions, scale: float
) -> OptimWrapper:
    """The optimizer of what requires gradients, which clips them and knows the precision.

    Args:
        module: the model.
        groups: the method's own groups of parameters; None for one rate for all.
        options: the ``training`` section.
        scale: what learning rates are multiplied by.

    Raises:
        AdaptError: the optimizer refuses its arguments.
    """
    kind, settings = _settings(options)
    # The same parameters go without weight decay as under the Trainer: biases and what normalises layers.
    decayed = set(Trainer.get_decay_parameter_names(None, module))  # type: ignore[arg-type]
    given = grouped(module, groups or (), decayed, options.weight_decay)
    scaled = [{**group, "lr": group.get("lr", options.lr) * scale} for group in given]
    try:
        optimizer = kind(scaled, **settings, lr=options.lr * scale)
    except (TypeError, ValueError) as error:
        raise _refused(options, error) from error
    clip = {"max_norm": options.max_grad_norm} if options.max_grad_norm else None
    precision = precision_of(options, next(module.parameters()).device)
    if precision is torch.float16:
        return AmpOptimWrapper(optimizer=optimizer, clip_grad=clip, dtype=precision)
    return (OptimWrapper if precision is None else AutocastOptimWrapper)(optimizer=optimizer, clip_grad=clip)


def check_optimizer(options: RunnerOptions, device: str) -> None:
    """Raises AdaptError when the optimizer cannot take a step, or the schedule be made: tried on a small parameter."""
    require_paging(options.optimizer, torch.device(device).type)
    kind, settings = _settings(options)
    weight = torch.nn.Parameter(torch.zeros(64, 64, device=device))
    weight.grad = torch.ones_like(weight)
    try:
        optimizer = kind([weight], **settings, lr=options.lr)
    except (TypeError, ValueError) as error:
        raise _refused(options, error) from error
    try:
        optimizer.step()
    except Exception as error:  # whatever an optimizer of any library raises means that it does not work here
        raise AdaptError(
            f"training.optimizer (OPTIMIZER): {options.optimizer} does not work on this machine ({device}): {error}",
            "Choose another, such as adamw_torch.",
        ) from error
    try:
        schedule(options, optimizer, 1, 1000)
    except (TypeError, ValueError) as error:
        raise AdaptError(
            f"training.scheduler (SCHEDULER_TYPE): {options.scheduler} cannot be made: {error}",
            "Give its arguments in training.scheduler_options.",
        ) from error


def schedule(options: RunnerOptions, optimizer: Any, steps_of_epoch: int, steps: int) -> Any:
    """The schedule of torch, to be stepped after every optimizer step.

    Args:
        options: the ``training`` section.
        optimizer: of torch.
        steps_of_epoch: optimizer steps in an epoch.
        steps: of the whole run.
    """
    if options.scheduler in BY_EPOCH:
        return schedule_by_epoch(options, optimizer, steps_of_epoch, -(-steps // steps_of_epoch))
    if is_class(options.scheduler):
        return resolve(options.scheduler)(optimizer, **_values(options.scheduler_options))
    share = options.warmup_steps < 1
    warmup = math.ceil(steps * options.warmup_steps) if share else int(options.warmup_steps)
    return get_scheduler(options.scheduler, optimizer, warmup, steps, dict(options.scheduler_options))


def _settings(options: RunnerOptions) -> tuple[Any, dict[str, Any]]:
    """The optimizer's class and its arguments, but for the learning rate."""
    own = _values(options.optimizer_options)
    if is_class(options.optimizer):
        return resolve(options.optimizer), own
    if options.optimizer in BITSANDBYTES:
        return _of_bitsandbytes(options, own)
    name = OPTIMIZERS[options.optimizer]
    settings: dict[str, Any] = {}
    if name.startswith(("Adam", "NAdam", "RAdam")):
        settings = {"betas": (options.beta1, options.beta2), "eps": options.adam_eps}
    if options.optimizer == "adamw_torch_fused":
        settings["fused"] = True
    return getattr(torch.optim, name), settings | own


def _of_bitsandbytes(options: RunnerOptions, own: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The same of an optimizer of bitsandbytes, whose names are transformers'."""
    arguments = TrainingArguments(
        optim=options.optimizer, adam_beta1=options.beta1, adam_beta2=options.beta2, adam_epsilon=options.adam_eps,
        use_cpu=True, report_to="none",
    )  # fmt: skip
    try:
        kind, settings = Trainer.get_optimizer_cls_and_kwargs(arguments)
    except ImportError as error:
        raise AdaptError(
            f"training.optimizer (OPTIMIZER): {options.optimizer} is one of bitsandbytes, which is not installed",
            "Install it (pip install bitsandbytes), or use adamw_torch.",
        ) from error
    return kind, {**{name: value for name, value in settings.items() if name != "lr"}, **own}


def _refused(options: RunnerOptions, error: Exception) -> AdaptError:
    return AdaptError(f"training.optimizer_options: {options.optimizer} refuses its arguments: {error}")


def _values(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as Python's optimizers take them: YAML has lists where they have tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
