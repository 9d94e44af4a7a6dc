"""The core's sections of a configuration. Plugins bring the option models of their own sections.

Defaults and flat names of the training parameters are those of the "Common Training Parameters" table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import model_validator

from adapt_core.kinds import Kind
from adapt_core.options import Options, flat_names, option

DEFAULT_SEED = 56
DEFAULT_SAVER = "state_dict"
DEFAULT_LAUNCHER = "local"
NOTHING = "none"
"""The name that stands for no plugin, in the sections that may have none."""


class ModelOptions(Options):
    """Which pretrained model to start from: a hub name or a local folder."""

    name: str | None = option(None, flat="MODEL_PATH", min_length=1, help="Hub name of the pretrained model.")
    path: str | None = option(
        None, flat="LOCAL_MODEL_PATH", min_length=1, path=True, help="Local folder that holds the pretrained model."
    )
    library: str | None = option(
        None, flat=("Library", "FRAMEWORK"), help="Library that the model comes from; by default the task's own."
    )

    @model_validator(mode="after")
    def _one_source(self) -> ModelOptions:
        if (self.name is None) == (self.path is None):
            given = "both are given" if self.name else "neither is given"
            raise ValueError(f"exactly one of name (MODEL_PATH) and path (LOCAL_MODEL_PATH) is needed; {given}")
        return self

    @property
    def source(self) -> str:
        """What the library's loading function takes."""
        return self.path or self.name or ""


class DatasetOptions(Options):
    """Which data to train on: a hub data set or local data. Tasks extend this with their columns."""

    name: str | None = option(None, flat="DATASET", min_length=1, help="Hub name of the data set.")
    config: str | None = option(None, flat="DATASET_CONFIG", min_length=1, help="Configuration of the hub data set.")
    path: str | None = option(
        None,
        flat="CUSTOM_DATASET_PATH",
        min_length=1,
        path=True,
        help="Local data: a file, a folder of one file a split, or a saved `datasets` folder.",
    )
    validation_share: float = option(
        0.1,
        flat="DATA_SPLIT",
        gt=0,
        lt=1,
        help="Share of the training rows that is held out, stratified, when the data has no validation split.",
    )
    max_train_samples: int | None = option(
        None,
        flat="MAX_TRAIN_SAMPLES",
        gt=0,
        help="Train on at most this many rows, drawn with the seed; all by default.",
    )
    max_eval_samples: int | None = option(
        None,
        flat="MAX_EVAL_SAMPLES",
        gt=0,
        help="Evaluate on at most this many rows, drawn with the seed; all by default.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> DatasetOptions:
        if (self.name is None) == (self.path is None):
            given = "both are given" if self.name else "neither is given"
            raise ValueError(f"exactly one of name (DATASET) and path (CUSTOM_DATASET_PATH) is needed; {given}")
        return self

    @model_validator(mode="after")
    def _configuration_of_the_hub(self) -> DatasetOptions:
        if self.config is not None and self.name is None:
            raise ValueError("config (DATASET_CONFIG) is only for a hub data set; remove it or give name (DATASET)")
        return self


class TrainingOptions(Options):
    """How to train, as far as every engine understands it; each adds its own.

    One meaning under every engine; an engine that cannot do a thing says so before training.
    """

    do_train: bool = option(True, flat="DO_TRAIN", help="Train; false evaluates the model as it is.")
    do_eval: bool = option(True, flat="DO_EVAL", help="Evaluate while training and at its end.")
    epochs: float = option(2, flat="EPOCHS", gt=0, help="Passes over the training rows; may be a fraction.")
    max_steps: int | None = option(None, gt=0, help="Stop after this many optimizer steps, whatever epochs says.")
    batch_size: int = option(16, flat="BATCH_SIZE", gt=0, help="Training rows in a batch on each process.")
    eval_batch_size: int | None = option(
        None, gt=0, help="Evaluation rows in a batch on each process; by default twice batch_size."
    )
    lr: float = option(1e-4, flat="LR", gt=0, help="Peak learning rate.")
    warmup_steps: float = option(
        0, ge=0, help="Steps over which the learning rate rises to its peak; below 1, a share of all steps."
    )
    weight_decay: float = option(0.0, flat="WEIGHT_DECAY", ge=0, help="Weight decay of the optimizer.")
    max_grad_norm: float = option(1.0, ge=0, help="Clip the gradient to this norm; 0 does not clip.")
    gradient_accumulation_steps: int = option(
        1, flat="GRADIENT_ACCUMULATION_STEPS", gt=0, help="Batches whose gradients are added up into one step."
    )
    fp16: bool = option(False, flat="FP16", help="Mixed precision in float16; needs a GPU.")
    bf16: bool = option(False, help="Mixed precision in bfloat16.")
    num_workers: int = option(4, flat="NUM_WORKERS", ge=0, help="Processes that load data; 0 loads in the main one.")
    interval: Literal["epoch", "steps"] = option(
        "epoch", flat="INTERVAL", help="Checkpoint and evaluate after every epoch, or every interval_steps steps."
    )
    interval_steps: int = option(
        100, flat="INTERVAL_STEPS", gt=0, help="Steps between checkpoints if interval is steps."
    )
    checkpoints: int = option(5, flat="NO_OF_CHECKPOINTS", gt=0, help="Newest checkpoints to keep.")
    resume: bool = option(
        False, flat="RESUME_FROM_CHECKPOINT", help="Continue the run in output_dir from its newest whole checkpoint."
    )
    logging_steps: int = option(10, gt=0, help="Steps between two lines of the log.")

    @model_validator(mode="after")
    def _one_precision(self) -> Self:
        if self.fp16 and self.bf16:
            raise ValueError("fp16 (FP16) and bf16 exclude each other; choose one")
        return self

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if not self.do_train and not self.do_eval:
            raise ValueError("do_train (DO_TRAIN) and do_eval (DO_EVAL) are both false: there is nothing to do")
        return self

    def for_evaluation(self) -> Self:
        """What evaluating a finished run needs: precision and all else belong to the machine that trained."""
        return type(self)(
            do_train=False,
            batch_size=self.batch_size,
            eval_batch_size=self.eval_batch_size,
            num_workers=self.num_workers,
        )


class RootOptions(Options):
    """The keys of a configuration that are not sections."""

    seed: int = option(DEFAULT_SEED, flat="SEED", ge=0, lt=2**32, help="Seed of every random choice.")
    output_dir: str | None = option(
        None,
        flat="OUTPUT_DIR",
        min_length=1,
        path=True,
        help="The run's folder; by default runs/ and the name of the file.",
    )


class MethodSection(Options):
    """What the core itself reads in the ``method`` section, beside the chosen method's own options."""

    name: str | None = option(None, flat="PEFT_METHOD", help="The method.")
    train_head: bool | None = option(
        None,
        flat="LAST_LAYER_TUNING",
        help="Train the head beside the adapter, as by default; with no method named, only the head.",
    )
    train_batch_norm: bool = option(
        False,
        help="Train the batch normalisation beside the adapter, scale, shift and running statistics, and save it with "
        "it; otherwise it stays as it was.",
    )


BESIDE = ("train_head", "train_batch_norm")
"""The keys of the ``method`` section that say what is trained beside an adapter; the core reads them."""


class TaskSection(Options):
    """What the core itself reads in the ``task`` section."""

    name: str | None = option(None, flat="TASK", help="The task.")


class QuantizationSection(Options):
    """What the core itself reads in the ``quantization`` section."""

    name: str | None = option(None, help="The quantizer; none by default.")


class SaveSection(Options):
    """What the core itself reads in the ``save`` section."""

    name: str | None = option(
        None,
        flat="SAVE_METHOD",
        help=f"Format of the export beside model/; {DEFAULT_SAVER} by default, {NOTHING} for no export.",
    )


class LaunchSection(Options):
    """What the core itself reads in the ``launch`` section."""

    name: str | None = option(None, help=f"The launcher; {DEFAULT_LAUNCHER} by default.")


ROOT = RootOptions

CHOOSERS: Mapping[Kind, type[Options]] = {
    Kind.TASK: TaskSection,
    Kind.METHOD: MethodSection,
    Kind.QUANTIZER: QuantizationSection,
    Kind.SAVER: SaveSection,
    Kind.LAUNCHER: LaunchSection,
}
"""What the core reads of the sections in which a plugin is chosen; the rest is the plugin's own."""

CORE_SECTIONS: Mapping[str, type[Options]] = {
    "model": ModelOptions,
    "dataset": DatasetOptions,
    "training": TrainingOptions,
}
"""The other sections. A task brings its own, wider model of ``dataset``."""

SECTIONS: Mapping[str, type[Options]] = {
    "task": TaskSection,
    "model": ModelOptions,
    "dataset": DatasetOptions,
    "method": MethodSection,
    "quantization": QuantizationSection,
    "training": TrainingOptions,
    "save": SaveSection,
    "launch": LaunchSection,
}
"""Every section, in the order of the canonical form."""


def core_names() -> frozenset[str]:
    """Every key that the top level of a configuration has without any plugin: sections, keys and flat names."""
    models: list[type[Options]] = [ROOT, *CORE_SECTIONS.values(), *CHOOSERS.values()]
    flat = {name for model in models for info in model.model_fields.values() for name in flat_names(info)}
    return frozenset({*SECTIONS, *ROOT.model_fields, *flat})
