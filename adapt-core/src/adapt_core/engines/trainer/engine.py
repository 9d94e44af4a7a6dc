"""The engine on Hugging Face's Trainer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer

from adapt_core.bundles import Evaluated, Model, Trained
from adapt_core.engines.trainer.arguments import check_machine, check_schedule, training_arguments
from adapt_core.engines.trainer.calibration import CalibrationBatches, randomness_kept
from adapt_core.engines.trainer.callbacks import TIMES, Gradients, Log, LossWindow, MethodPhases, Stop
from adapt_core.engines.trainer.failures import failed_in_method, nothing_used, out_of_memory
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.engines.trainer.optimizer import check_optimizer, optimizer_settings
from adapt_core.engines.trainer.sampler import EpochSampler
from adapt_core.errors import AdaptError, Interrupted
from adapt_core.interfaces import Method, World
from adapt_core.plan.run_plan import RunPlan
from adapt_core.runs.folder import RunFolder
from adapt_core.terminal.progress import Progress
from adapt_core.terminal.signals import StopRequest, shield_worker, stop_on_signal


class TrainerEngine:
    """Trains and evaluates with ``transformers.Trainer``.

    Its habits hold: names of optimizers, schedules and trackers, gradient accumulation, precision and devices are the
    Trainer's own. Adapt adds the order of rows, whole checkpoints, the log and stopping.
    """

    def __init__(self, plan: RunPlan, folder: RunFolder, world: World, progress: Progress) -> None:
        self.plan = plan
        self.folder = folder
        self.world = world
        self.progress = progress
        self._trainer: _Trainer | None = None

    def check(self) -> None:
        """Tries the precision, the optimizer, the schedule and the trackers on this machine."""
        options = self.plan.training
        check_machine(options)
        check_schedule(options)
        check_optimizer(self._arguments(), options)

    def train(self, model: Model, method: Method, inputs: TrainerInputs, checkpoint: Path | None) -> Trained:
        """Trains in place. See :meth:`adapt_core.interfaces.Engine.train`."""
        options = self.plan.training
        if options.gradient_checkpointing and not getattr(model.module, "supports_gradient_checkpointing", False):
            raise AdaptError(
                "training.gradient_checkpointing (GRADIENT_CHECKPOINTING): "
                f"{type(model.module).__name__} cannot recompute its activations",
                "Remove the key.",
            )
        trainer = self._prepared(model, inputs)
        calibrating = _Clock()
        if checkpoint is None and method.has("calibrate"):
            batches = CalibrationBatches(trainer, inputs, trainer._get_train_sampler())
            with calibrating, randomness_kept(), self.progress.stage("Calibrating the method"):
                try:
                    method.calibrate(model.module, batches)
                except torch.OutOfMemoryError as error:
                    raise out_of_memory(error, "batch_size (BATCH_SIZE)") from error
        request = StopRequest()
        trainer.method = method
        trainer.add_callback(MethodPhases(method))
        trainer.add_callback(Gradients(self.plan.method.spec.name, model.hints, self.progress))
        trainer.add_callback(Stop(request))
        begin = time.perf_counter()
        with stop_on_signal(request):
            try:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            except torch.OutOfMemoryError as error:
                raise out_of_memory(error, "batch_size (BATCH_SIZE)") from error
            except RuntimeError as error:
                # A signal to the whole group may end a data loader's process that was just starting, and the news of
                # that may come before the signal itself.
                if "DataLoader worker" not in str(error) or not request.comes_within(seconds=1):
                    raise
            finally:
                self.progress.stop()
        aside = trainer.evaluating.seconds + trainer.saving.seconds
        seconds = time.perf_counter() - begin - aside
        steps = trainer.state.global_step
        if request.signal is not None:
            saved = self.folder.checkpoints.steps()
            state = f"the state of step {saved[-1]} is saved" if saved else "no state is saved"
            raise Interrupted(
                f"Stopped by {request.signal} after step {steps} of {trainer.state.max_steps}; {state}.",
                f"Continue with: adapt run {self.folder.path} --resume" if saved else "Start it again.",
            )
        trainer.drop_optimizer()
        if not options.do_eval:
            trainer.unwrap()
        share = (steps - trainer.first_step) / steps  # of the run's steps, those that this process took
        rows = round(share * float(trainer.state.epoch or 0) * len(inputs.train))
        return Trained(
            steps=steps,
            seconds=seconds,
            calibrating=calibrating.seconds,
            evaluating=trainer.evaluating.seconds,
            saving=trainer.saving.seconds,
            samples=rows,
            metrics={"train_loss": trainer.mean_loss},
        )

    def evaluate(self, model: Model, inputs: TrainerInputs) -> Evaluated:
        """Metrics of the model as it is; not computed again if training ended with them."""
        trainer = self._prepared(model, inputs)
        if trainer.last_evaluation is None or trainer.last_evaluation[0] != trainer.state.global_step:
            try:
                trainer.evaluate()
            except torch.OutOfMemoryError as error:
                raise out_of_memory(error, "eval_batch_size (EVAL_BATCH_SIZE)") from error
        trainer.unwrap()
        assert trainer.last_evaluation is not None
        output = trainer.last_evaluation[1]
        metrics = {
            name.removeprefix("eval_"): float(value)
            for name, value in output.metrics.items()
            if name.startswith("eval_") and isinstance(value, int | float) and not name.endswith(TIMES)
        }
        return Evaluated(metrics=metrics, outputs=output)

    def _arguments(self) -> Any:
        checkpoints = Path(self.folder.checkpoints)
        return training_arguments(self.plan.training, self.plan.seed, checkpoints, self.folder.path.name)

    def _prepared(self, model: Model, inputs: TrainerInputs) -> _Trainer:
        """The one trainer of this run."""
        if self._trainer is None:
            window = LossWindow()
            if not self.plan.training.do_train:
                # As on a model with adapters: the Trainer refuses a quantized one, even if only to evaluate it.
                model.module._hf_peft_config_loaded = True
            self._trainer = _Trainer(
                model=model.module,
                args=self._arguments(),
                train_dataset=inputs.train,
                eval_dataset=inputs.evaluation,
                data_collator=inputs.collate,
                compute_metrics=inputs.metrics,
                callbacks=[window, Log(self.folder, self.progress)],
            )
            self._trainer.remove_callback(PrinterCallback)
            self._trainer.folder = self.folder
            self._trainer.world = self.world
            self._trainer.method_name = self.plan.method.spec.name
            self._trainer.keep = self.plan.training.checkpoints
            self._trainer.optimizer_options = self.plan.training.optimizer_options
            self._trainer.lengths = inputs.lengths if self.plan.training.group_by_length else None
            self._trainer.model_accepts_loss_kwargs &= inputs.token_loss
            window.trainer = self._trainer
        return self._trainer


class _Trainer(Trainer):
    """The Trainer with Adapt's order of rows and checkpoints; it keeps its last evaluation and minds its time."""

    folder: RunFolder
    world: World
    keep: int
    optimizer_options: Mapping[str, Any]
    method: Method | None = None
    method_name: str = ""
    lengths: Any = None
    last_evaluation: tuple[int, Any] | None = None
    first_step: int = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.evaluating, self.saving = _Clock(), _Clock()
        super().__init__(*args, **kwargs)

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

    def compute_loss(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            found = super().compute_loss(model, *args, **kwargs)
        except (torch.OutOfMemoryError, AdaptError):
            raise
        # Broad: a layer of any library may raise anything. It goes on, as it came or with the layer's name.
        except Exception as error:
            failure = failed_in_method(error, model, self.method_name)
            if failure is None:
                raise
            raise failure from error
        loss = found[0] if isinstance(found, tuple) else found
        if model.training and torch.is_grad_enabled() and not loss.requires_grad:
            raise nothing_used(self.method_name, "has a gradient")
        return found

    def get_optimizer_cls_and_kwargs(self, args: Any, model: Any = None) -> tuple[Any, Any]:  # type: ignore[override]
        return optimizer_settings(args, model, self.optimizer_options)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        dataset: Any = self.train_dataset if train_dataset is None else train_dataset
        group = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return EpochSampler(len(dataset), self.args.seed, self.lengths, group)

    def get_train_dataloader(self) -> Any:
        return _shielded(super().get_train_dataloader())

    def get_eval_dataloader(self, *args: Any, **kwargs: Any) -> Any:
        return _shielded(super().get_eval_dataloader(*args, **kwargs))

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        self.first_step = self.state.global_step
        return super()._prepare_for_training(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        step = self.state.global_step
        checkpoints = self.folder.checkpoints
        with self.saving:
            if self.world.is_main:
                checkpoints.mark_incomplete(step)
            self.world.barrier()
            super()._save_checkpoint(model, trial)
            self.world.barrier()
            if self.world.is_main:
                # A pickle of the Trainer's arguments, which nothing reads.
                (checkpoints.at(step) / "training_args.bin").unlink(missing_ok=True)
                if self.method is not None:
                    self.method.save_state(self.model, checkpoints.at(step))
                checkpoints.mark_complete(step)
                checkpoints.keep_newest(self.keep)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.method is not None and self.method.has("load_state"):
            self.method.load_state(self.model, Path(resume_from_checkpoint))
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        with self.evaluating:
            return super().evaluate(*args, **kwargs)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        output = super().evaluation_loop(*args, **kwargs)
        self.last_evaluation = (self.state.global_step, output)
        return output


def _shielded(loader: Any) -> Any:
    """The data loader with workers that leave signals to the run."""
    loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)
    return loader


def _start_worker(start: Any, worker: int) -> None:
    if start is not None:
        start(worker)
    shield_worker()


class _Clock:
    """Adds up the seconds spent within it, the GPU's pending work counted where it belongs: before."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._begin = time.perf_counter()

    def __exit__(self, *exception: object) -> None:
        self.seconds += time.perf_counter() - self._begin
