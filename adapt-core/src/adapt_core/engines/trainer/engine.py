"""The engine on Hugging Face's Trainer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import torch
from transformers import PrinterCallback

from adapt_core.bundles import Evaluated, Model, Trained
from adapt_core.engines.common.clock import Clock
from adapt_core.engines.common.failures import left_unused, out_of_memory, stopped
from adapt_core.engines.common.loaders import is_stream
from adapt_core.engines.common.log import RunLog
from adapt_core.engines.common.optimization_options import BY_EPOCH, is_class
from adapt_core.engines.common.randomness import randomness_kept
from adapt_core.engines.trainer.arguments import check_machine, training_arguments
from adapt_core.engines.trainer.calibration import CalibrationBatches
from adapt_core.engines.trainer.callbacks import Gradients, Log, LossWindow, MethodPhases, Stop
from adapt_core.engines.trainer.features import keep_features
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.engines.trainer.optimizer import check_optimizer, check_schedule
from adapt_core.engines.trainer.options import TrainerOptions
from adapt_core.engines.trainer.trainer import AdaptTrainer, Training, trainer_class
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Engine, Method, World
from adapt_core.models.counting import count_parameters
from adapt_core.plan.run_plan import RunPlan
from adapt_core.plugins.references import resolve
from adapt_core.runs.folder import RunFolder
from adapt_core.terminal.progress import Progress
from adapt_core.terminal.signals import StopRequest, stop_on_signal

MOMENT = 5.0
"""Seconds of waiting that are not worth a notice."""


class TrainerEngine(Engine):
    """Trains and evaluates with ``transformers.Trainer``, or a class of its kind that the task names.

    Its habits hold: names of optimizers, schedules and trackers, gradient accumulation, precision and devices are the
    Trainer's own. Adapt adds the order of rows, whole checkpoints, measuring, the log and stopping.
    """

    def __init__(self, plan: RunPlan, folder: RunFolder, world: World, progress: Progress) -> None:
        self.plan = plan
        self.options = cast(TrainerOptions, plan.training)
        self.folder = folder
        self.world = world
        self.progress = progress
        self._trainer: AdaptTrainer | None = None

    def check(self) -> None:
        """Tries the precision, the optimizer, the schedule and the trackers on this machine."""
        check_machine(self.options)
        check_schedule(self.options)
        check_optimizer(self._arguments(), self.options)

    def train(self, model: Model, method: Method, inputs: TrainerInputs, checkpoint: Path | None) -> Trained:
        """Trains in place. See :meth:`adapt_core.interfaces.Engine.train`."""
        self._require_trainable(model, inputs)
        trainer = self._prepared(model, inputs)
        trainer.training.method = method
        calibrating = Clock()
        if checkpoint is None and method.has("calibrate"):
            with calibrating:
                self._calibrate(model, method, trainer)
        self.progress.parameters(count_parameters(model.module))  # which calibration may have changed
        begin = time.perf_counter()
        keep_features(trainer, model.hints, self.progress)
        self._tell_of_lengths(inputs)
        keeping = time.perf_counter() - begin
        request = StopRequest()
        stop = Stop(request, self.world)
        for callback in (
            MethodPhases(method),
            Gradients(self.plan.method.spec.name, model.hints, self.progress),
            stop,
        ):
            trainer.add_callback(callback)
        seconds = keeping + self._run(trainer, checkpoint, request)
        steps = trainer.state.global_step
        if stop.stops or request.signal is not None:
            signal = request.signal or "a request to stop"
            raise stopped(str(signal), steps, trainer.state.max_steps, self.folder)
        trainer.drop_optimizer()
        if not self.options.do_eval:
            trainer.unwrap()
        self._tell_of_waiting(trainer.loading, seconds)
        return Trained(
            steps=steps,
            seconds=seconds,
            calibrating=calibrating.seconds,
            evaluating=trainer.evaluating.seconds,
            saving=trainer.saving.seconds,
            samples=trainer.rows_trained,
            metrics={"train_loss": trainer.mean_loss},
            loading=trainer.loading,
        )

    def evaluate(self, model: Model, inputs: TrainerInputs) -> Evaluated:
        """Metrics of the model as it is; not computed again if training ended with them."""
        trainer = self._prepared(model, inputs)
        if trainer.last_evaluation is None or trainer.last_evaluation[0] != trainer.state.global_step:
            trainer.evaluate()
        trainer.unwrap()
        assert trainer.last_evaluation is not None
        return trainer.last_evaluation[1]

    def gathered(self, model: Model) -> Model:
        """The whole model, on the CPU where it was sharded. See :meth:`adapt_core.interfaces.Engine.gathered`."""
        if self.world.sharding is None or self._trainer is None:
            return model
        return model.with_module(self._trainer.gathered())

    def _tell_of_waiting(self, loading: float, seconds: float) -> None:
        """A notice where training waited for its data for more than a fifth of its time, and longer than a moment."""
        if loading > max(seconds / 5, MOMENT) and self.world.is_main:
            self.progress.notice(
                f"Training waited for its data for {loading / seconds:.0%} of its time. training.num_workers "
                f"(NUM_WORKERS) is {self.options.num_workers}; more processes, up to the machine's cores, load faster."
            )

    def _tell_of_lengths(self, inputs: TrainerInputs) -> None:
        """A notice where rows were to be grouped by length and have none that differ, as packed rows and images."""
        asked = self.options.group_by_length and "group_by_length" in self.options.model_fields_set
        if asked and inputs.lengths is None and self.world.is_main:
            self.progress.notice("training.group_by_length changes nothing: these rows are packed, or have no lengths.")

    # ---- parts of a training --------------------------------------------------------------------------------------

    def _require_trainable(self, model: Model, inputs: TrainerInputs) -> None:
        recomputes = getattr(model.module, "supports_gradient_checkpointing", False)
        if self.options.gradient_checkpointing and not recomputes:
            raise AdaptError(
                "training.gradient_checkpointing (GRADIENT_CHECKPOINTING): "
                f"{type(model.module).__name__} cannot recompute its activations",
                "Remove the key.",
            )
        if is_stream(inputs.train) and self.options.max_steps is None:
            raise AdaptError(
                "training.max_steps is not given, and nobody knows how many rows a stream has",
                "Say after how many steps the training ends.",
            )
        if is_stream(inputs.train) and self.options.scheduler in BY_EPOCH:
            raise AdaptError(
                f"training.scheduler (SCHEDULER_TYPE): {self.options.scheduler} counts epochs, and a stream has none",
                "Choose one of transformers', such as linear or cosine.",
            )

    def _calibrate(self, model: Model, method: Method, trainer: AdaptTrainer) -> None:
        with randomness_kept(), self.progress.stage("Calibrating the method"):
            try:
                method.calibrate(model.module, CalibrationBatches(trainer))
            except torch.OutOfMemoryError as error:
                raise out_of_memory(error, "batch_size (BATCH_SIZE)") from error

    def _run(self, trainer: AdaptTrainer, checkpoint: Path | None, request: StopRequest) -> float:
        """Takes the steps; the seconds that they took."""
        begin = time.perf_counter()
        with stop_on_signal(request, several=self.world.size > 1):
            try:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            except torch.OutOfMemoryError as error:
                raise out_of_memory(error, "batch_size (BATCH_SIZE)") from error
            except RuntimeError as error:
                if (unused := left_unused(error)) is not None:
                    raise unused from error
                # A signal to the whole group may end a data loader's process that was just starting, and the news of
                # that may come before the signal itself.
                if "DataLoader worker" not in str(error) or not request.comes_within(seconds=1):
                    raise
            finally:
                self.progress.stop()
        return time.perf_counter() - begin - trainer.evaluating.seconds - trainer.saving.seconds

    # ---- the trainer ----------------------------------------------------------------------------------------------

    def _arguments(self, inputs: TrainerInputs | None = None) -> Any:
        own = () if inputs is None else (inputs.arguments, inputs.settings)
        checkpoints = Path(self.folder.checkpoints)
        return training_arguments(self.options, self.plan.seed, checkpoints, self.folder.path.name, self.world, *own)

    def _prepared(self, model: Model, inputs: TrainerInputs) -> AdaptTrainer:
        """The one trainer of this run."""
        if self._trainer is not None:
            return self._trainer
        if not self.options.do_train:
            # As on a model with adapters: the Trainer refuses a quantized one, even if only to evaluate it.
            model.module._hf_peft_config_loaded = True
        trainer: AdaptTrainer = trainer_class(inputs.trainer)(
            training=Training(
                inputs,
                self.options,
                self.folder,
                self.world,
                self.plan.method.spec.name,
                self.options.num_workers,
                self.plan.quantizer.make() if self.plan.quantizer else None,
            ),
            model=model.module,
            args=self._arguments(inputs),
            train_dataset=inputs.train,
            eval_dataset=inputs.evaluation,
            data_collator=inputs.collate,
            callbacks=[*inputs.callbacks, *(resolve(each)() for each in self.options.trackers if is_class(each))],
            **inputs.keywords,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(LossWindow(trainer))
        trainer.add_callback(Log(RunLog(self.folder, self.progress, self.world)))
        if self.world.sharding is not None:
            trainer.shard(model.hints)
        self._trainer = trainer
        return trainer
