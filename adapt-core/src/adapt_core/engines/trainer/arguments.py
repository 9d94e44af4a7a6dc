"""From Adapt's training options to the Trainer's arguments, and what this machine cannot do of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from adapt_core.engines.common.optimization_options import BY_EPOCH, is_class
from adapt_core.engines.common.precision import require_asked_precision
from adapt_core.engines.trainer.options import TrainerOptions
from adapt_core.engines.trainer.sharding import fsdp_arguments
from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_core.plugins.references import resolve

TRACKER_PACKAGES = {"comet_ml": "comet_ml", "azure_ml": "azureml", "flyte": "flytekit", "kubeflow": "kubeflow"}
"""Packages of the trackers that are not named like their package."""


def training_arguments(
    options: TrainerOptions,
    seed: int,
    checkpoints: Path,
    run_name: str,
    world: World,
    kind: type[TrainingArguments] = TrainingArguments,
    further: Mapping[str, Any] | None = None,
) -> TrainingArguments:
    """The Trainer's arguments.

    Args:
        options: the ``training`` section.
        seed: of the run.
        checkpoints: the folder of its checkpoints.
        run_name: for trackers.
        world: the processes, which say on what to compute.
        kind: the class of the arguments.
        further: a task's own, over these.

    Raises:
        AdaptError: the Trainer refuses a value.
    """
    own = is_class(options.scheduler) or options.scheduler in BY_EPOCH  # which the Trainer does not make
    every = {"epoch": "epoch", "steps": "steps"}[options.interval]
    try:
        settings: dict[str, Any] = {
            "output_dir": str(checkpoints),
            "run_name": run_name,
            "per_device_train_batch_size": options.batch_size,
            "per_device_eval_batch_size": options.eval_batch_size or 2 * options.batch_size,
            "num_train_epochs": options.epochs,
            "max_steps": options.max_steps or -1,
            "learning_rate": options.lr,
            "lr_scheduler_type": "constant" if own else options.scheduler,
            "lr_scheduler_kwargs": None if own else dict(options.scheduler_options) or None,
            "warmup_steps": options.warmup_steps,  # a float below 1 is a share
            "optim": "adamw_torch" if is_class(options.optimizer) else options.optimizer,
            "optim_target_modules": "all-linear" if options.optimizer.startswith(("galore", "apollo")) else None,
            "weight_decay": options.weight_decay,
            "adam_beta1": options.beta1,
            "adam_beta2": options.beta2,
            "adam_epsilon": options.adam_eps,
            "max_grad_norm": options.max_grad_norm,
            "gradient_accumulation_steps": options.gradient_accumulation_steps,
            "gradient_checkpointing": options.gradient_checkpointing,
            "gradient_checkpointing_kwargs": {"use_reentrant": False} if options.gradient_checkpointing else None,
            "fp16": options.fp16,
            "bf16": options.bf16,
            "use_cpu": world.device == "cpu" or not torch.accelerator.is_available(),
            "dataloader_num_workers": options.num_workers,
            "dataloader_pin_memory": torch.cuda.is_available(),
            "save_strategy": every,
            "save_steps": options.interval_steps,
            "save_total_limit": None,  # Checkpoints deletes the old ones, once the new one is whole
            "eval_strategy": every if options.do_eval else "no",
            "eval_steps": options.interval_steps,
            "logging_steps": options.logging_steps,
            "logging_nan_inf_filter": False,
            "seed": seed,
            "data_seed": seed,
            "report_to": [name for name in options.trackers if not is_class(name)] or "none",
            "disable_tqdm": True,
            "remove_unused_columns": False,
            **(fsdp_arguments(world.sharding) if world.sharding is not None else {}),
        }
        arguments = kind(**(settings | dict(further or {})))
    except (ValueError, ImportError) as error:
        raise AdaptError(f"training: {error}") from error
    if arguments.n_gpu > 1:  # of one process: the Trainer would split each batch over all GPUs, by threads
        arguments._n_gpu = 1
    return arguments


def check_machine(options: TrainerOptions) -> None:
    """Raises AdaptError for a precision, package or tracker that this machine lacks, or that is asked for elsewhere."""
    require_asked_precision(options)
    if options.fp16 and not torch.cuda.is_available():
        raise AdaptError(
            "training.fp16 (FP16): this machine has no GPU, and float16 training needs one",
            "Remove it, or set training.bf16, which a CPU can do.",
        )
    if options.bf16 and torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
        raise AdaptError("training.bf16: this GPU cannot compute in bfloat16", "Use training.fp16 (FP16) instead.")
    for tracker in options.trackers:
        if is_class(tracker):
            resolve(tracker)
            continue
        package = TRACKER_PACKAGES.get(tracker, tracker)
        if importlib.util.find_spec(package) is None:
            raise AdaptError(
                f"training.trackers: {tracker} needs the package {package}, which is not installed",
                f"Install it: pip install {package.replace('_', '-')}",
            )
