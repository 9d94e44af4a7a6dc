"""The training loop: MMEngine's Runner with Adapt's order of rows, loss, measuring, checkpoints and stopping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.runner import BaseLoop
from torch import Tensor, nn

from adapt_core.bundles import Hints
from adapt_core.engines.common.failures import failed_in_method, nothing_used
from adapt_core.engines.common.gradients import idle_notice
from adapt_core.engines.common.inputs import Inputs
from adapt_core.engines.common.measuring import rows_in
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Method
from adapt_core.terminal.signals import StopRequest
from adapt_vision.engines.mmengine.options import RunnerOptions
from adapt_vision.engines.mmengine.state import State


@dataclass
class Training:
    """What the loop knows of its run.

    Attributes:
        inputs: the task's.
        options: the ``training`` section.
        method: which has been applied.
        method_name: what the configuration calls it.
        hints: of the model.
        schedule: of the learning rate; torch's.
        state: where the run is.
        steps_of_epoch: optimizer steps in an epoch.
        steps: of the whole run.
        request: that a signal sets.
        at_interval: evaluates and saves.
        log: takes a line of ``metrics.jsonl``.
        advance: is told each step.
        notice: tells a person something.
    """

    inputs: Inputs
    options: RunnerOptions
    method: Method
    method_name: str
    hints: Hints
    schedule: Any
    state: State
    steps_of_epoch: int
    steps: int
    request: StopRequest
    at_interval: Any
    log: Any
    advance: Any
    notice: Any


class Stepped(nn.Module):
    """A module as MMEngine's Runner trains it: with a ``train_step``."""

    def __init__(self, module: nn.Module, training: Training) -> None:
        super().__init__()
        self.module = module
        self.training_of_run = training

    def train_step(self, data: Sequence[Mapping[str, Any]], optim_wrapper: Any) -> dict[str, Tensor]:
        """Adds up the gradients of the batches of a step.

        Args:
            data: the batches.
            optim_wrapper: MMEngine's, which knows the precision.

        Returns:
            ``loss``, the mean over all that the batches' losses are means of.
        """
        inputs = self.training_of_run.inputs
        counts = [inputs.items(batch) if inputs.items is not None else rows_in(batch) for batch in data]
        total = max(sum(counts), 1)
        device = next(self.module.parameters()).device
        summed = torch.zeros((), device=device)
        for batch, count in zip(data, counts, strict=True):
            with optim_wrapper.optim_context(self.module):
                loss = self._loss(moved(batch, device)) * (count / total)
            optim_wrapper.backward(loss)
            summed += loss.detach().float()
        return {"loss": summed}

    def _loss(self, batch: Mapping[str, Any]) -> Tensor:
        name = self.training_of_run.method_name
        try:
            outputs = outputs_of(self.training_of_run.inputs, self.module, batch)
        except (torch.OutOfMemoryError, AdaptError):
            raise
        # Broad: a layer of any library may raise anything. It goes on, as it came or with the layer's name.
        except Exception as error:
            failure = failed_in_method(error, self.module, name)
            if failure is None:
                raise
            raise failure from error
        loss: Tensor = outputs["loss"]
        if not loss.requires_grad:
            raise nothing_used(name, "has a gradient")
        return loss


def outputs_of(inputs: Inputs, module: nn.Module, batch: Mapping[str, Any]) -> Mapping[str, Any]:
    """The outputs of a batch, ``loss`` among them."""
    outputs: Mapping[str, Any] = inputs.step(module, batch) if inputs.step is not None else module(**batch)
    return outputs


def moved(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """A batch with its tensors on a device."""
    return {
        name: each.to(device, non_blocking=True) if isinstance(each, Tensor) else each for name, each in batch.items()
    }


class StepLoop(BaseLoop):  # type: ignore[misc]  # MMEngine ships no types
    """Counts optimizer steps; an epoch is a pass over the rows.

    Args:
        runner: MMEngine's, of a :class:`Stepped` model.
        dataloader: gives the batches of an epoch, and can begin behind some of them.
    """

    def __init__(self, runner: Any, dataloader: Any) -> None:
        super().__init__(runner, dataloader)
        # Not an argument: the Runner copies those, and all that they hold.
        self.of_run: Training = runner.model.training_of_run

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

    @property
    def stops(self) -> bool:
        """Whether a signal has come."""
        return self.of_run.request.signal is not None

    def run(self) -> Any:
        """Takes the steps that are left."""
        self.runner.call_hook("before_train")
        self.runner.optim_wrapper.zero_grad()
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
        run, wrapper, module = self.of_run, self.runner.optim_wrapper, self.runner.model.module
        state = run.state
        if not state.looked:
            state.looked = True
            if notice := idle_notice(module, run.hints, run.method_name):
                run.notice(notice)
        state.count(loss, sum(map(rows_in, batches)), wrapper.optimizer.param_groups[0]["lr"])
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
