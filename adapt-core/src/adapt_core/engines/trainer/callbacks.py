"""What happens beside the Trainer's steps: the log, the checkpoints' order, and stopping when told to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from adapt_core.engines.trainer.failures import nothing_used
from adapt_core.errors import AdaptError
from adapt_core.models.architecture import name_in_model
from adapt_core.terminal.signals import StopRequest

if TYPE_CHECKING:
    from transformers import Trainer

    from adapt_core.bundles import Hints
    from adapt_core.interfaces import Method
    from adapt_core.runs.folder import RunFolder
    from adapt_core.terminal.progress import Progress

TIMES = ("_runtime", "_per_second", "_flos", "_time")
"""Endings of logged values that differ from run to run: they are in ``result.json``, not among the metrics."""


class Log(TrainerCallback):
    """Writes ``metrics.jsonl`` and shows progress; a loss that is no number ends the run."""

    def __init__(self, folder: RunFolder, progress: Progress) -> None:
        self.folder = folder
        self.progress = progress

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            # What a killed run logged after its last checkpoint happens again.
            self.folder.rewrite_metrics(line for entry in state.log_history if (line := metric_line(entry)))
            epochs = state.max_steps * args.gradient_accumulation_steps / len(kwargs["train_dataloader"])
            self.progress.start(state.max_steps, epochs, state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self.progress.advance(state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        line = metric_line({**(logs or {}), "step": state.global_step})
        if line is None or _already_evaluated(line, state):
            return
        for name in ("loss", "eval_loss"):
            if not math.isfinite(line.get(name, 0.0)):
                raise AdaptError(
                    f"{name} is {line[name]} at step {state.global_step}: the run cannot learn from here",
                    "Lower training.lr (LR), or use bf16 or float32 in place of fp16.",
                )
        if state.is_world_process_zero:
            self.folder.append_metrics(line)
            if state.max_steps:  # not for an evaluation on its own, whose metrics are the result
                self.progress.log(state.global_step, line)


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
    """Looks, in the first step, at whether what is trained beside the head gets a gradient.

    What the model never calls gets none, and would be trained in vain: a run that trains nothing but the head ends.
    """

    def __init__(self, method: str, hints: Hints, progress: Progress) -> None:
        self.method = method
        self.head = tuple(f".{name}." for name in (*hints.head, *hints.fresh))
        self.progress = progress
        self.looked = False

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.looked:
            return
        self.looked = True
        own = {name: each for name, each in kwargs["model"].named_parameters() if each.requires_grad}
        beside = [name for name in own if not any(head in f".{name}" for head in self.head)]
        # By layer: a penalty may give a part of an update a gradient though the layer is never called.
        unused = {name.partition(".lora_")[0] for name in beside if own[name].grad is None}
        idle = [name for name in beside if name.partition(".lora_")[0] in unused]
        if not idle:
            return
        first = name_in_model(idle[0])
        if len(idle) == len(beside):
            raise nothing_used(self.method, f"beside the head has a gradient, {first} among it")
        if state.is_world_process_zero:
            self.progress.notice(
                f"{len(idle)} of {len(beside)} parameters that {self.method} trains had no gradient in the first step, "
                f"{first} among them: the model did not use them."
            )


class Stop(TrainerCallback):
    """Ends training after the step in which a signal came, with a checkpoint.

    The checkpoint must be the one that an uninterrupted run would have made there, random numbers included. So what
    the schedule asks for at that very step, an evaluation say, is still done, and nothing else is.
    """

    def __init__(self, request: StopRequest) -> None:
        self.request = request

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.request.signal is not None:
            control.should_training_stop = True
            control.should_save = control.should_save or not _ends_epoch(state)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.request.signal is None:
            return
        if _ends_epoch(state):
            control.should_save = True
        else:  # the Trainer closes the epoch that it broke off; the checkpoint of this step has been written
            control.should_save = control.should_evaluate = control.should_log = False


class LossWindow(TrainerCallback, ExportableState):
    """Carries the Trainer's running sums of the loss over a resume.

    The Trainer starts them at zero, so that the first logged loss of a resumed run would be a mean over fewer steps.
    """

    def __init__(self) -> None:
        self.trainer: Trainer | None = None

    def state(self) -> dict[str, Any]:
        trainer: Any = self.trainer
        if trainer is None or not hasattr(trainer, "_tr_loss"):
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
            trainer: Any = self.trainer
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
