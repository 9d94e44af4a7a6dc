"""The engine on MMEngine's Runner."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from mmengine.device import get_device

from adapt_core.bundles import Evaluated, Model, Trained
from adapt_core.engines.common.clock import Clock
from adapt_core.engines.common.failures import left_unused, out_of_memory, stopped
from adapt_core.engines.common.loaders import EpochLoader, evaluation_loader, is_stream, training_loader
from adapt_core.engines.common.log import RunLog
from adapt_core.engines.common.measuring import measure, rows_in
from adapt_core.engines.common.precision import require_asked_precision
from adapt_core.engines.common.randomness import randomness_kept
from adapt_core.engines.common.unused import leaves_unused
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Engine, Method, World
from adapt_core.models.counting import count_parameters
from adapt_core.plan.run_plan import RunPlan
from adapt_core.runs.folder import RunFolder
from adapt_core.terminal.progress import Progress
from adapt_core.terminal.signals import StopRequest, stop_on_signal
from adapt_vision.engines.mmengine.inputs import RunnerInputs
from adapt_vision.engines.mmengine.loop import StepLoop, Training
from adapt_vision.engines.mmengine.optimizer import (
    check_optimizer,
    schedule,
    wrapped_optimizer,
)
from adapt_vision.engines.mmengine.options import RunnerOptions
from adapt_vision.engines.mmengine.recomputation import recomputed
from adapt_vision.engines.mmengine.runner import FolderRunner
from adapt_vision.engines.mmengine.state import State, load_weights
from adapt_vision.engines.mmengine.step import Part, Replicated, Stepped, average_statistics, moved, outputs_of


class MMEngine(Engine):
    """Trains with ``mmengine.runner.Runner``: its optimizer wrappers, hooks and log.

    The loop is Adapt's, so that rows, losses, checkpoints and stopping are what they are under the Trainer.
    """

    def __init__(self, plan: RunPlan, folder: RunFolder, world: World, progress: Progress) -> None:
        self.plan = plan
        self.options = cast(RunnerOptions, plan.training)
        self.folder = folder
        self.world = world
        self.progress = progress
        self.log = RunLog(folder, progress, world)
        self.evaluating, self.saving = Clock(), Clock()
        self.state = State(world)
        self.last_evaluation: tuple[int, Evaluated] | None = None

    def check(self) -> None:
        """Tries the precision, the optimizer and the schedule on this machine."""
        require_asked_precision(self.options)
        gpu = self._device.startswith("cuda")
        if self.options.fp16 and not gpu:
            raise AdaptError(
                "training.fp16 (FP16): this run computes on no GPU, and float16 training needs one",
                "Remove it, or set training.bf16 or training.amp, which a CPU can do.",
            )
        if self.options.bf16 and gpu and not torch.cuda.is_bf16_supported():
            raise AdaptError("training.bf16: this GPU cannot compute in bfloat16", "Use training.fp16 (FP16) instead.")
        check_optimizer(self.options, self._device)

    def train(self, model: Model, method: Method, inputs: RunnerInputs, checkpoint: Path | None) -> Trained:
        """Trains in place. See :meth:`adapt_core.interfaces.Engine.train`."""
        if is_stream(inputs.train):
            raise AdaptError("A stream of images cannot be trained on with MMEngine's Runner", "Give images in files.")
        scale = self._scale(inputs)
        module = model.module.to(self._device)
        blocks = self._blocks(module, inputs)
        loader = self._training_loader(inputs, self.world, self.options.num_workers)
        calibrating = Clock()
        if checkpoint is None and method.has("calibrate"):
            with calibrating:
                self._calibrate(module, method, inputs)
        self.progress.parameters(count_parameters(module))  # which calibration may have changed
        of_epoch = -(-len(loader) // self.options.gradient_accumulation_steps)
        steps = self.options.max_steps or math.ceil(self.options.epochs * of_epoch)
        content = self._resumed(module, method, checkpoint) if checkpoint else None
        with randomness_kept():
            wrapper = wrapped_optimizer(module, method.parameter_groups(module, self.options.lr), self.options, scale)
            rates = schedule(self.options, wrapper.optimizer, of_epoch, steps)
        if content is not None:
            wrapper.load_state_dict(content["optimizer"])
            rates.load_state_dict(content["schedule"])
        request = StopRequest()
        training = Training(
            module=module,
            options=self.options,
            method=method,
            method_name=self.plan.method.spec.name,
            hints=model.hints,
            schedule=rates,
            state=self.state,
            steps_of_epoch=of_epoch,
            steps=steps,
            request=request,
            world=self.world,
            at_interval=partial(self._at_interval, module, method, inputs, wrapper, rates),
            log=self._write,
            advance=self.log.advance,
            notice=self.progress.notice,
        )
        with randomness_kept():
            stepped = self._wrapped(Stepped(module, inputs, training.method_name, self.world), wrapper)
            runner = self._runner(training, stepped, loader, wrapper, inputs)
        method.before_training(module, steps)
        self.log.start(steps, steps / of_epoch, self.state.step, self.state.lines)
        with recomputed(blocks):
            seconds = self._run(runner, request)
        if (runner.train_loop.stops or request.signal is not None) and self.state.step < steps:
            raise stopped(request.signal or "a request to stop", self.state.step, steps, self.folder)
        wrapper.optimizer.state.clear()  # a second copy of the model is loaded soon
        return Trained(
            steps=self.state.step,
            seconds=seconds,
            calibrating=calibrating.seconds,
            evaluating=self.evaluating.seconds,
            saving=self.saving.seconds,
            samples=self.state.rows,
            metrics={"train_loss": self.state.mean_loss},
            loading=loader.waiting,
        )

    def evaluate(self, model: Model, inputs: RunnerInputs) -> Evaluated:
        """Metrics of the model as it is; not computed again if training ended with them."""
        if self.last_evaluation is None or self.last_evaluation[0] != self.state.step:
            self._measure(model.module.to(self._device), inputs, shown=self.options.do_train)
        assert self.last_evaluation is not None
        return self.last_evaluation[1]

    # ---- parts of a training --------------------------------------------------------------------------------------

    def _scale(self, inputs: RunnerInputs) -> float:
        """What learning rates are multiplied by."""
        if not self.options.auto_scale_lr:
            return 1.0
        if inputs.base_batch_size is None:
            raise AdaptError(
                "training.auto_scale_lr: the model's configuration does not say for which batch size its learning rate "
                "was tuned",
                "Remove the key, and set training.lr (LR) yourself.",
            )
        rows = self.options.batch_size * self.options.gradient_accumulation_steps * self.world.size
        return rows / inputs.base_batch_size

    def _blocks(self, module: Any, inputs: RunnerInputs) -> Sequence[torch.nn.Module]:
        """The parts of the model whose activations are recomputed; none where that is not asked for."""
        if not self.options.gradient_checkpointing:
            return ()
        blocks = inputs.blocks(module) if inputs.blocks is not None else ()
        if not blocks:
            raise AdaptError(
                "training.gradient_checkpointing (GRADIENT_CHECKPOINTING): the model has no backbone of several layers "
                "whose activations could be recomputed",
                "Remove the key.",
            )
        return blocks

    @property
    def _device(self) -> str:
        """What this process computes on, as torch names it."""
        return self.world.device or str(get_device())

    def _training_loader(self, inputs: RunnerInputs, world: World, workers: int) -> EpochLoader:
        return training_loader(
            inputs.train,
            inputs.collate,
            batch=self.options.batch_size,
            group=self.options.gradient_accumulation_steps,
            seed=self.plan.seed,
            world=world,
            lengths=inputs.lengths,
            workers=workers,
        )

    def _calibrate(self, module: Any, method: Method, inputs: RunnerInputs) -> None:
        with randomness_kept(), self.progress.stage("Calibrating the method"):
            try:
                # Every process looks at the same rows.
                loader = self._training_loader(inputs, World(), self.options.num_workers)
                method.calibrate(module, _Batches(loader, module, inputs))
            except torch.OutOfMemoryError as error:
                raise out_of_memory(error, "batch_size (BATCH_SIZE)") from error

    def _resumed(self, module: Any, method: Method, checkpoint: Path) -> Mapping[str, Any]:
        """Brings the model to where a checkpoint was; returns what the optimizer and the schedule need."""
        if method.has("load_state"):
            method.load_state(module, checkpoint)
        else:
            load_weights(module, checkpoint)
        return self.state.load(checkpoint)

    def _wrapped(self, stepped: Stepped, wrapper: Any) -> Stepped | Replicated:
        """The model as this process trains it: one of several averages its gradients with the others'."""
        if self.world.size == 1:
            return stepped

        def loss_of_first() -> torch.Tensor:
            batch = next(iter(self._training_loader(stepped.inputs, self.world, workers=0)))
            with wrapper.optim_context(stepped.module):
                loss: torch.Tensor = stepped(moved(batch, torch.device(self._device)), Part())
            return loss

        return Replicated(stepped, find_unused=leaves_unused(self.world, stepped, loss_of_first))

    def _runner(
        self, training: Training, model: torch.nn.Module, loader: EpochLoader, wrapper: Any, inputs: RunnerInputs
    ) -> FolderRunner:
        off = dict.fromkeys(("sampler_seed", "param_scheduler", "checkpoint"))  # Adapt's loop does these
        return FolderRunner(
            training,
            model=model,
            work_dir=str(self.folder.logs / "mmengine"),
            train_dataloader=loader,
            train_cfg={"type": StepLoop},
            optim_wrapper=wrapper,
            default_hooks={"logger": {"type": "LoggerHook", "interval": self.options.logging_steps}, **off},
            log_processor={"by_epoch": False},
            default_scope=inputs.scope,
            experiment_name=self.folder.path.name,
            randomness={"seed": self.plan.seed},
        )

    def _run(self, runner: FolderRunner, request: StopRequest) -> float:
        """Takes the steps; the seconds that they took."""
        begin = time.perf_counter()
        with stop_on_signal(request, several=self.world.size > 1):
            try:
                runner.train()
            except torch.OutOfMemoryError as error:
                raise out_of_memory(error, "batch_size (BATCH_SIZE)") from error
            except RuntimeError as error:
                if (unused := left_unused(error)) is not None:
                    raise unused from error
                # A signal to the whole group may end a data loader's process that was just starting.
                if "DataLoader worker" not in str(error) or not request.comes_within(seconds=1):
                    raise
            finally:
                self.progress.stop()
                runner.close()
        return time.perf_counter() - begin - self.evaluating.seconds - self.saving.seconds

    def _write(self, line: dict[str, Any], *, shown: bool = True) -> None:
        self.state.lines.append(line)
        self.log.write(line, shown=shown)

    def _at_interval(
        self, module: Any, method: Method, inputs: RunnerInputs, wrapper: Any, rates: Any, *, evaluates: bool
    ) -> None:
        average_statistics(module, self.world)
        if evaluates and self.options.do_eval:
            self._measure(module, inputs)
        step, checkpoints = self.state.step, self.folder.checkpoints
        with self.saving:
            if self.world.is_main:
                checkpoints.mark_incomplete(step)
            self.state.save(checkpoints.at(step), module, wrapper, rates)
            if self.world.is_main:
                method.save_state(module, checkpoints.at(step))
                checkpoints.mark_complete(step)
                checkpoints.keep_newest(self.options.checkpoints)
            self.world.barrier()

    def _measure(self, module: Any, inputs: RunnerInputs, *, shown: bool = True) -> None:
        """Measures the model as it is, in float32, as MMEngine does; random numbers do not notice."""
        loader = self._evaluation_loader(inputs)
        device = next(module.parameters()).device
        with self.evaluating, randomness_kept():
            try:
                evaluated = measure(
                    module,
                    (moved(batch, device) for batch in loader),
                    inputs.evaluation_step or partial(outputs_of, inputs),
                    inputs.items or rows_in,
                    inputs.meter() if inputs.meter is not None else None,
                    self.world,
                    len(loader),
                )
            except torch.OutOfMemoryError as error:
                raise out_of_memory(error, "eval_batch_size (EVAL_BATCH_SIZE)", trains=False) from error
        self.last_evaluation = (self.state.step, evaluated)
        line: dict[str, Any] = {"step": self.state.step}
        line |= {f"eval_{name}": value for name, value in sorted(evaluated.metrics.items())}
        if not any(each["step"] == self.state.step and line.keys() <= each.keys() for each in self.state.lines):
            self._write(line, shown=shown)

    def _evaluation_loader(self, inputs: RunnerInputs) -> EpochLoader:
        return evaluation_loader(
            inputs.evaluation,
            inputs.collate,
            batch=self.options.eval_batch_size or 2 * self.options.batch_size,
            world=self.world,
            workers=self.options.num_workers,
        )


class _Batches:
    """The training batches of the first epoch, anew in every iteration, as arguments of a call of the module."""

    def __init__(self, loader: EpochLoader, module: Any, inputs: RunnerInputs) -> None:
        self.loader, self.module, self.inputs = loader, module, inputs

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        self.loader.set_epoch(0)
        device = next(self.module.parameters()).device
        for given in self.loader:
            batch = moved(given, device)
            yield batch if self.inputs.arguments is None else self.inputs.arguments(self.module, batch)
