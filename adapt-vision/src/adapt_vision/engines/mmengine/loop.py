"""The training loop: MMEngine's Runner with Adapt's order of rows, loss, measuring, checkpoints and stopping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.runner import BaseLoop
from torch import Tensor, nn

from adapt_core.bundles import Hints
from adapt_core.engines.common.gradients import idle_notice
from adapt_core.engines.common.measuring import rows_in
from adapt_core.engines.common.rows import NOT_COUNTED
from adapt_core.interfaces import Method, World
from adapt_core.terminal.signals import StopRequest
from adapt_vision.engines.mmengine.options import RunnerOptions
from adapt_vision.engines.mmengine.state import State


@dataclass
class Training:
    """What the loop knows of its run.

    Attributes:
        module: the model.
        options: the ``training`` section.
        method: which has been applied.
        method_name: what the configuration calls it.
        hints: of the model.
        schedule: of the learning rate; torch's.
        state: where the run is.
        steps_of_epoch: optimizer steps in an epoch.
        steps: of the whole run.
        request: that a signal sets.
        world: the processes.
        at_interval: evaluates and saves.
        log: takes a line of ``metrics.jsonl``.
        advance: is told each step.
        notice: tells a person something.
    """

    module: nn.Module
    options: RunnerOptions
    method: Method
    method_name: str
    hints: Hints
    schedule: Any
    state: State
    steps_of_epoch: int
    steps: int
    request: StopRequest
    world: World
    at_interval: Any
    log: Any
    advance: Any
    notice: Any


class StepLoop(BaseLoop):  # type: ignore[misc]  # MMEngine ships no types
    """Counts optimizer steps; an epoch is a pass over the rows.

    Args:
        runner: MMEngine's, with its :class:`Training` as ``of_run``.
        dataloader: gives the batches of an epoch, and can begin behind some of them.
    """

    def __init__(self, runner: Any, dataloader: Any) -> None:
        super().__init__(runner, dataloader)
        # Not an argument: the Runner copies those, and all that they hold.
        self.of_run: Training = runner.of_run
        self.stops = False

    @property
    def max_epochs(self) -> int:
        """Epochs of the run, a begun one counted."""
        return -(-self.of_run.steps // self.of_run.steps_of_epoch)

    @property
    def max_iters(self) -> int:
        """Optimizer steps of the run."""
        return self.of_run.steps

    @property
    def epoch(self) -> int:
        """The epoch, from 0."""
        return self.of_run.state.step // self.of_run.steps_of_epoch

    @property
    def iter(self) -> int:
        """Optimizer steps taken."""
        return self.of_run.state.step

    def run(self) -> Any:
        """Takes the steps that are left, or those until a signal has come to any process."""
        self.runner.call_hook("before_train")
        self.runner.optim_wrapper.zero_grad()
        self.stops = self.of_run.world.any(self.of_run.request.signal is not None or self.of_run.world.asked_to_stop())
        while self.of_run.state.step < self.of_run.steps and not self.stops:
            self._epoch()
        self.runner.call_hook("after_train")
        return self.runner.model

    def _epoch(self) -> None:
        self.runner.call_hook("before_train_epoch")
        model = self.runner.model
        model.train()
        for index, batches in self._steps():
            self.runner.call_hook("before_train_iter", batch_idx=index, data_batch=batches)
            outputs = model.train_step(batches, self.runner.optim_wrapper)
            self._update(outputs["loss"], batches)
            self.runner.call_hook("after_train_iter", batch_idx=index, data_batch=batches, outputs=outputs)
            self._after_step()
            if self.stops or self.of_run.state.step >= self.of_run.steps:
                break
            model.train()  # an evaluation may have come between
        self.runner.call_hook("after_train_epoch")

    def _steps(self) -> Iterator[tuple[int, list[Any]]]:
        """The batches of each step that is left of the epoch, with the step's number in it."""
        accumulated = self.of_run.options.gradient_accumulation_steps
        done = self.of_run.state.step % self.of_run.steps_of_epoch
        self.dataloader.set_epoch(self.epoch, done * accumulated)
        if not done:
            self.of_run.state.restore_randomness()
        batches = iter(self.dataloader)
        group: list[Any] = []
        for batch in batches:
            if done:
                self.of_run.state.restore_randomness()  # after the loader has drawn its seed, as in the first attempt
            group.append(batch)
            if len(group) == accumulated:
                yield done, group
                done, group = done + 1, []
        if group:
            yield done, group

    def _update(self, loss: Tensor, batches: Sequence[Mapping[str, Any]]) -> None:
        """The optimizer's step, the method's and the schedule's."""
        run, wrapper, module = self.of_run, self.runner.optim_wrapper, self.of_run.module
        state = run.state
        if not state.looked:
            state.looked = True
            if notice := idle_notice(module, run.hints, run.method_name):
                run.notice(notice)
        rows = sum(rows_in(batch) for batch in batches if NOT_COUNTED not in batch)
        state.count(loss, rows, wrapper.optimizer.param_groups[0]["lr"])
        scale = _scale(wrapper)
        wrapper.step()
        if _scale(wrapper) < scale:  # gradients of float16 overflowed and say nothing
            wrapper.zero_grad(set_to_none=False)
        run.method.after_step(module, state.step + 1)
        wrapper.zero_grad()
        run.schedule.step()
        state.step += 1

    def _after_step(self) -> None:
        run = self.of_run
        self.stops = run.world.any(run.request.signal is not None or run.world.asked_to_stop())
        run.advance(run.state.step)
        if run.state.step % run.options.logging_steps == 0:
            run.log(run.state.line(run.steps_of_epoch))
        at_interval = self._at_interval(run.state.step)
        if at_interval or self.stops:
            run.at_interval(evaluates=at_interval)

    def _at_interval(self, step: int) -> bool:
        """Whether the configuration asks for an evaluation and a checkpoint after a step."""
        options = self.of_run.options
        if step == self.of_run.steps:
            return True
        if options.interval == "steps":
            return step % options.interval_steps == 0
        return step % (options.checkpoint_interval * self.of_run.steps_of_epoch) == 0


def _scale(wrapper: Any) -> float:
    """What a loss is multiplied by before the backward pass in float16; 1 otherwise."""
    scaler = getattr(wrapper, "loss_scaler", None)
    return 1.0 if scaler is None else float(scaler.get_scale())
