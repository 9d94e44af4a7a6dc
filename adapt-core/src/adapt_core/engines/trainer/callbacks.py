"""What happens beside the Trainer's steps: the log, the checkpoints' order, and stopping when told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import has_length

from adapt_core.engines.common.gradients import idle_notice
from adapt_core.engines.common.log import RunLog
from adapt_core.terminal.signals import StopRequest

if TYPE_CHECKING:
    from transformers import Trainer

    from adapt_core.bundles import Hints
    from adapt_core.interfaces import Method, World
    from adapt_core.terminal.progress import Progress

TIMES = ("_runtime", "_per_second", "_flos", "_time")
"""Endings of logged values that differ from run to run: they are in ``result.json``, not among the metrics."""


class Log(TrainerCallback):
    """Hands on what the Trainer logs."""

    def __init__(self, log: RunLog) -> None:
        self.log = log

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        loader = kwargs["train_dataloader"]
        epochs = state.max_steps * args.gradient_accumulation_steps / len(loader) if has_length(loader) else None
        history = (line for entry in state.log_history if (line := metric_line(entry)))
        self.log.start(state.max_steps, epochs, state.global_step, history)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.log.advance(state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        line = metric_line({**(logs or {}), "step": state.global_step})
        if line is not None and not _already_evaluated(line, state):
            # An evaluation on its own has no steps; its metrics are the result.
            self.log.write(line, shown=bool(state.max_steps))


class MethodPhases(TrainerCallback):
    """Calls the method before the first step and after each, as far as it wants to be called."""

    def __init__(self, method: Method) -> None:
        self.method = method

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.method.before_training(kwargs["model"], state.max_steps)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if getattr(kwargs["optimizer"], "step_was_skipped", False):  # gradients of float16 overflowed and say nothing
            for each in kwargs["model"].parameters():
                if each.grad is not None:
                    each.grad.zero_()
        self.method.after_step(kwargs["model"], state.global_step + 1)  # the Trainer counts the step afterwards


class Gradients(TrainerCallback):
    """Looks, in the first step, at whether what is trained beside the head gets a gradient."""

    def __init__(self, method: str, hints: Hints, progress: Progress) -> None:
        self.method = method
        self.hints = hints
        self.progress = progress
        self.looked = False

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.looked:
            return
        self.looked = True
        notice = idle_notice(kwargs["model"], self.hints, self.method)
        if notice and state.is_world_process_zero:
            self.progress.notice(notice)


class Stop(TrainerCallback):
    """Ends training in all processes after the step in which any was asked to stop, with a checkpoint.

    The checkpoint must be the one that an uninterrupted run would have made there, random numbers included. So what
    the schedule asks for at that very step, an evaluation say, is still done, and nothing else is.
    """

    def __init__(self, request: StopRequest, world: World) -> None:
        self.request = request
        self.world = world
        self.stops = False

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.stops = self.world.any(self.request.signal is not None or self.world.asked_to_stop())
        if self.stops:
            control.should_training_stop = True
            control.should_save = control.should_save or not _ends_epoch(state)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not self.stops:
            return
        if _ends_epoch(state):
            control.should_save = True
        else:  # the Trainer closes the epoch that it broke off; the checkpoint of this step has been written
            control.should_save = control.should_evaluate = control.should_log = False


class LossWindow(TrainerCallback, ExportableState):
    """Carries the Trainer's running sums of the loss over a resume.

    The Trainer starts them at zero, so that the first logged loss of a resumed run would be a mean over fewer steps.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer: Any = trainer

    def state(self) -> dict[str, Any]:
        trainer = self.trainer
        if not hasattr(trainer, "_tr_loss"):
            return {"args": {}, "attributes": {}}
        return {
            "args": {},
            "attributes": {
                "window": trainer._tr_loss.item(),
                "total": trainer._total_loss_scalar,
                "logged": trainer._globalstep_last_logged,
            },
        }

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        saved: Any = state.stateful_callbacks
        values = saved.get(type(self).__name__, {}).get("attributes") if isinstance(saved, dict) else None
        if state.global_step and values:
            trainer = self.trainer
            trainer._tr_loss += values["window"]
            trainer._total_loss_scalar = values["total"]
            trainer._globalstep_last_logged = values["logged"]
            trainer._initial_global_step = 0


def metric_line(entry: dict[str, Any]) -> dict[str, Any] | None:
    """A line of ``metrics.jsonl`` from one of the Trainer's log entries; None for its closing summary of times."""
    if "train_runtime" in entry:
        return None
    names = sorted(name for name in entry if name not in ("step", "epoch") and not name.endswith(TIMES))
    return {name: entry[name] for name in ("step", "epoch", *names) if name in entry}


def _ends_epoch(state: TrainerState) -> bool:
    """Whether the step just taken was the last of its epoch."""
    return state.epoch is not None and float(state.epoch).is_integer()


def _already_evaluated(line: dict[str, Any], state: TrainerState) -> bool:
    """Whether the model of this step was evaluated before: a resumed run that had only to be saved does it again."""
    return "eval_loss" in line and any(
        "eval_loss" in entry and entry["step"] == line["step"] for entry in state.log_history[:-1]
    )
