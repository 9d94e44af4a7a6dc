"""From Adapt's training options to the Trainer's arguments, and what this machine cannot do of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from transformers import TrainingArguments, get_scheduler

from adapt_core.config.sections import TrainingOptions
from adapt_core.errors import AdaptError

TRACKER_PACKAGES = {"comet_ml": "comet_ml", "azure_ml": "azureml", "flyte": "flytekit", "kubeflow": "kubeflow"}
"""Packages of the trackers that are not named like their package."""


def training_arguments(options: TrainingOptions, seed: int, checkpoints: Path, run_name: str) -> TrainingArguments:
    """The Trainer's arguments.

    Raises:
        AdaptError: the Trainer refuses a value.
    """
    every = {"epoch": "epoch", "steps": "steps"}[options.interval]
    try:
        return TrainingArguments(
            output_dir=str(checkpoints),
            run_name=run_name,
            per_device_train_batch_size=options.batch_size,
            per_device_eval_batch_size=options.eval_batch_size or 2 * options.batch_size,
            num_train_epochs=options.epochs,
            max_steps=options.max_steps or -1,
            learning_rate=options.lr,
            lr_scheduler_type=options.scheduler,
            lr_scheduler_kwargs=dict(options.scheduler_options) or None,
            warmup_steps=options.warmup_steps,  # a float below 1 is a share
            optim=options.optimizer,
            optim_target_modules="all-linear" if options.optimizer.startswith(("galore", "apollo")) else None,
            weight_decay=options.weight_decay,
            adam_beta1=options.beta1,
            adam_beta2=options.beta2,
            adam_epsilon=options.adam_eps,
            max_grad_norm=options.max_grad_norm,
            gradient_accumulation_steps=options.gradient_accumulation_steps,
            gradient_checkpointing=options.gradient_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False} if options.gradient_checkpointing else None,
            fp16=options.fp16,
            bf16=options.bf16,
            use_cpu=not torch.accelerator.is_available(),
            dataloader_num_workers=options.num_workers,
            dataloader_pin_memory=torch.cuda.is_available(),
            save_strategy=every,
            save_steps=options.interval_steps,
            save_total_limit=None,  # Checkpoints deletes the old ones, once the new one is whole
            eval_strategy=every if options.do_eval else "no",
            eval_steps=options.interval_steps,
            logging_steps=options.logging_steps,
            logging_nan_inf_filter=False,
            seed=seed,
            data_seed=seed,
            report_to=options.trackers or "none",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
    except (ValueError, ImportError) as error:
        raise AdaptError(f"training: {error}") from error


def check_machine(options: TrainingOptions) -> None:
    """Raises AdaptError for a precision, package or tracker that this machine lacks."""
    if options.fp16 and not torch.cuda.is_available():
        raise AdaptError(
            "training.fp16 (FP16): this machine has no GPU, and float16 training needs one",
            "Remove it, or set training.bf16, which a CPU can do.",
        )
    if options.bf16 and torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
        raise AdaptError("training.bf16: this GPU cannot compute in bfloat16", "Use training.fp16 (FP16) instead.")
    for tracker in options.trackers:
        package = TRACKER_PACKAGES.get(tracker, tracker)
        if importlib.util.find_spec(package) is None:
            raise AdaptError(
                f"training.trackers: {tracker} needs the package {package}, which is not installed",
                f"Install it: pip install {package.replace('_', '-')}",
            )


def check_schedule(options: TrainingOptions) -> None:
    """Raises AdaptError when the learning-rate schedule cannot be made from its options."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=options.lr)
    try:
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
