"""The Trainer, of whatever class, with Adapt's order of rows, loss, measuring and checkpoints."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import DistributedDataParallelKwargs
from transformers import PreTrainedModel, Trainer

from adapt_core.bundles import Evaluated
from adapt_core.engines.common.clock import Clock
from adapt_core.engines.common.failures import failed_in_method, nothing_used, out_of_memory
from adapt_core.engines.common.loaders import EpochLoader, evaluation_loader, is_stream, training_loader
from adapt_core.engines.common.measuring import Step, measure, rows_in
from adapt_core.engines.common.rows import NOT_COUNTED
from adapt_core.engines.common.unused import leaves_unused
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.engines.trainer.optimizer import grouped, optimizer_settings, schedule
from adapt_core.engines.trainer.options import TrainerOptions
from adapt_core.engines.trainer.sharded import ShardedTraining
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Method, Quantizer, World
from adapt_core.runs.folder import RunFolder


@dataclass
class Training:
    """What a trainer knows of its run.

    Attributes:
        inputs: the task's.
        options: the ``training`` section.
        folder: the run's.
        world: the processes.
        method_name: what the configuration calls the method.
        workers: processes that load data.
        quantizer: of the base, if it is quantized.
        method: None until training starts.
    """

    inputs: TrainerInputs
    options: TrainerOptions
    folder: RunFolder
    world: World
    method_name: str
    workers: int
    quantizer: Quantizer | None = None
    method: Method | None = None


def trainer_class(kind: type[Trainer]) -> Any:
    """A class of Trainer with what Adapt does otherwise."""
    return type(f"Adapt{kind.__name__}", (AdaptTrainer, kind), {})


class AdaptTrainer(ShardedTraining, Trainer):
    """What Adapt does otherwise than the Trainer; :func:`trainer_class` puts it before a class of Trainer.

    The order of rows is Adapt's. The loss is a sum over all items of an optimizer step, in all batches and processes,
    divided by their number. An evaluation measures batch by batch, and the last one is kept. A checkpoint is marked
    when it is whole.

    Args:
        training: what it knows of its run.
        arguments: the Trainer's own.
    """

    def __init__(self, *, training: Training, **arguments: Any) -> None:
        self.training = training
        self.evaluating, self.saving = Clock(), Clock()
        self.last_evaluation: tuple[int, Evaluated] | None = None
        self.first_step = 0
        self.rows_trained = 0
        self._loader: EpochLoader | None = None
        super().__init__(**arguments)
        self.model_accepts_loss_kwargs &= self.own_loss
        if not self.own_loss:
            self.loss_is_scaled_for_ga = True  # by compute_loss

    @property
    def own_loss(self) -> bool:
        """Whether the library's own loss is used, which divides by a number of tokens that it is told."""
        inputs = self.training.inputs
        return inputs.token_loss and inputs.step is None and inputs.loss is None and inputs.items is None

    @property
    def mean_loss(self) -> float:
        """Mean training loss over all steps of the run, those before a resume included."""
        return float(self._total_loss_scalar) / max(self.state.global_step, 1)

    def unwrap(self) -> None:
        """Takes mixed precision off the model, which accelerate has wrapped around its ``forward``."""
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)

    def drop_optimizer(self) -> None:
        """Lets go of the optimizer, which may hold twice the model, before a second copy of that is loaded."""
        for holder in (self, self.callback_handler):
            holder.optimizer = holder.lr_scheduler = None
        self.accelerator._optimizers.clear()
        self.accelerator._schedulers.clear()

    # ---- rows -----------------------------------------------------------------------------------------------------

    @property
    def loading(self) -> float:
        """Seconds in which training waited for its data."""
        return self._loader.waiting if self._loader is not None else 0.0

    def get_train_dataloader(self) -> Any:
        self._loader = self._training_loader(self.training.workers)
        return self._loader

    def first_batch(self) -> Mapping[str, Any]:
        """This process's part of the first batch of the first epoch, on the model's device."""
        batch = next(islice(self._training_loader(workers=0), 1))
        return self._prepare_inputs({name: value for name, value in batch.items() if name != NOT_COUNTED})

    def _loss_of_first(self) -> torch.Tensor:
        with self.accelerator.autocast():
            loss: torch.Tensor = self.compute_loss(self.model, dict(self.first_batch()))
        return loss

    def _training_loader(self, workers: int) -> EpochLoader:
        options = self.training.options
        return training_loader(
            self.train_dataset,
            self.data_collator,
            batch=options.batch_size,
            group=options.gradient_accumulation_steps,
            seed=self.args.seed,
            world=self.training.world,
            lengths=self.training.inputs.lengths if options.group_by_length else None,
            workers=workers,
        )

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        rows: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        return evaluation_loader(
            rows,
            self.data_collator,
            batch=self.args.per_device_eval_batch_size,
            world=self.training.world,
            workers=self.training.workers,
        )

    # ---- the loss of a step ---------------------------------------------------------------------------------------

    def items(self, batch: Mapping[str, Any]) -> int:
        """How many things the loss of a batch is a mean of."""
        inputs = self.training.inputs
        if inputs.items is not None:
            return inputs.items(batch)
        if not inputs.token_loss:
            return rows_in(batch)
        labels = batch["labels"]
        if "shift_labels" in batch:
            labels = batch["shift_labels"]
        elif self._loss_shifts_labels:  # the first token of a row is predicted from nothing
            labels = labels[..., 1:]
        return int((labels != -100).sum())

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """The items of an optimizer step, in all its batches and all processes."""
        counted = [batch for batch in batch_samples if NOT_COUNTED not in batch]
        self.rows_trained += sum(map(rows_in, counted))
        total = sum(self.training.world.gather(sum(map(self.items, counted))))
        return torch.tensor(total, device=device) if self.own_loss else total

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        batch = dict(inputs)
        counted = not batch.pop(NOT_COUNTED, False)
        try:
            outputs = self._outputs(model, batch, num_items_in_batch)
        except (torch.OutOfMemoryError, AdaptError):
            raise
        # Broad: a layer of any library may raise anything. It goes on, as it came or with the layer's name.
        except Exception as error:
            failure = failed_in_method(error, model, self.training.method_name)
            if failure is None:
                raise
            raise failure from error
        loss = outputs["loss"]
        if model.training and torch.is_grad_enabled() and not loss.requires_grad:
            raise nothing_used(self.training.method_name, "has a gradient")
        if num_items_in_batch is not None and not self.own_loss:
            # Processes average their gradients, so each counts its loss as often as there are processes.
            loss = loss * (self.items(batch) * self.training.world.size / max(num_items_in_batch, 1))
        if not counted:
            loss = loss * 0.0
        return (loss, outputs) if return_outputs else loss

    def _outputs(self, model: Any, batch: dict[str, Any], items: Any = None) -> Mapping[str, Any]:
        """The outputs of a batch, ``loss`` among them."""
        inputs = self.training.inputs
        if inputs.step is not None:
            return inputs.step(model, batch)
        if inputs.loss is not None:
            outputs = model(**{name: value for name, value in batch.items() if name != "labels"})
            values = outputs if isinstance(outputs, Mapping) else {"logits": outputs}
            return {**values, "loss": inputs.loss(outputs, batch)}
        # The class's own, TRL's say.
        loss, outputs = super().compute_loss(
            model, batch, return_outputs=True, num_items_in_batch=items if self.own_loss else None
        )
        return {**(outputs if isinstance(outputs, Mapping) else {}), "loss": loss}

    # ---- optimizer and schedule -----------------------------------------------------------------------------------

    def create_optimizer(self, model: Any = None) -> Any:
        method, options = self.training.method, self.training.options
        own: Any = self.model if model is None else model
        groups = method.parameter_groups(own, options.lr) if method is not None else None
        if groups is None or self.optimizer is not None:
            return super().create_optimizer(model)
        kind, settings = self.get_optimizer_cls_and_kwargs(self.args, own)
        decayed = set(self.get_decay_parameter_names(own))
        self.optimizer = kind(grouped(own, groups, decayed, options.weight_decay), **settings)
        return self.optimizer

    def get_optimizer_cls_and_kwargs(self, args: Any, model: Any = None) -> tuple[Any, Any]:  # type: ignore[override]
        return optimizer_settings(args, model, self.training.options)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        if self.lr_scheduler is None:
            options = self.training.options
            of_epoch = self._steps_of_epoch()
            made = schedule(options, optimizer or self.optimizer, of_epoch, -(-num_training_steps // of_epoch))
            if made is not None:
                self.lr_scheduler = made
                self._created_lr_scheduler = True
        return super().create_scheduler(num_training_steps, optimizer)

    def _steps_of_epoch(self) -> int:
        """Optimizer steps in an epoch; 1 for a stream, which has none."""
        if self._loader is None or is_stream(self.train_dataset):
            return 1
        return -(-len(self._loader) // self.args.gradient_accumulation_steps)

    # ---- epochs, checkpoints, evaluations -------------------------------------------------------------------------

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        self.first_step = self.state.global_step
        if self.training.world.size > 1 and self.training.world.sharding is None:
            own: Any = self.model
            unused = leaves_unused(self.training.world, own, self._loss_of_first)
            self.accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=unused)
        return super()._prepare_for_training(*args, **kwargs)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        if self.state.global_step >= self.state.max_steps:
            # Resumed after its last step, in the middle of an epoch: the Trainer would take one more.
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        step, world, method = self.state.global_step, self.training.world, self.training.method
        checkpoints = self.training.folder.checkpoints
        with self.saving:
            if world.is_main:
                checkpoints.mark_incomplete(step)
            world.barrier()
            super()._save_checkpoint(model, trial)
            own: Any = self.trained_values() if self.sharded and self._own_state else self.model
            world.barrier()
            if world.is_main:
                # A pickle of the Trainer's arguments, which nothing reads.
                (checkpoints.at(step) / "training_args.bin").unlink(missing_ok=True)
                if method is not None:
                    method.save_state(own, checkpoints.at(step))
                checkpoints.mark_complete(step)
                checkpoints.keep_newest(self.training.options.checkpoints)
            world.barrier()

    def load_whole_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        method = self.training.method
        if method is not None and method.has("load_state"):
            method.load_state(self.model, Path(checkpoint))
        elif isinstance(self.model, PreTrainedModel):
            _load_whole(self.model, checkpoint)
        else:
            super().load_whole_checkpoint(checkpoint, model)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measures the model as it is; the metrics' names begin with ``eval_``."""
        with self.evaluating:
            self._prepare_for_evaluation()
            inputs, loader = self.training.inputs, self.get_eval_dataloader()
            try:
                evaluated = measure(
                    self.model,
                    self._evaluation_batches(loader),
                    inputs.evaluation_step or self._evaluation_step(),
                    self.items,
                    inputs.meter() if inputs.meter is not None else None,
                    self.training.world,
                    len(loader),
                )
            except torch.OutOfMemoryError as error:
                raise out_of_memory(error, "eval_batch_size (EVAL_BATCH_SIZE)", trains=False) from error
        self.last_evaluation = (self.state.global_step, evaluated)
        metrics = {f"eval_{name}": value for name, value in evaluated.metrics.items()}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _evaluation_step(self) -> Step:
        return lambda model, batch: self.compute_loss(model, batch, return_outputs=True)[1]

    def _evaluation_batches(self, loader: Any) -> Iterator[Any]:
        if (evaluates := getattr(self.optimizer, "eval", None)) is not None:  # it holds other weights to evaluate
            evaluates()
        for batch in loader:
            yield self._prepare_inputs(batch)
            self.control = self.callback_handler.on_prediction_step(self.args, self.state, self.control)

    def _prepare_for_evaluation(self) -> None:
        """Has accelerate prepare a model that was not trained: mixed precision is a wrapper of its ``forward``."""
        if not self.accelerator._models and self.sharded:
            self.shard_to_evaluate()
        elif not self.accelerator._models:
            self.model = self.accelerator.prepare_model(self.model, evaluation_mode=True)


def _load_whole(module: PreTrainedModel, folder: str) -> None:
    """Loads the weights of a checkpoint into a model of transformers, by the library's own reading.

    Some architectures are saved with other names than their parameters have (ViT's, in transformers 5). The Trainer
    loads by the parameters' names, and passes over what has another one.

    Raises:
        AdaptError: the checkpoint lacks some of them.
    """
    kind: Any = type(module)
    loaded, found = kind.from_pretrained(
        folder, config=copy.deepcopy(module.config), dtype=module.dtype, output_loading_info=True
    )
    if missing := sorted({*found["missing_keys"], *(entry[0] for entry in found["mismatched_keys"])}):
        raise AdaptError(
            f"The checkpoint {folder} lacks {len(missing)} of the model's parameters, {missing[0]} among them",
            "Remove its folder, and resume from the one before.",
        )
    module.load_state_dict(loaded.state_dict())
