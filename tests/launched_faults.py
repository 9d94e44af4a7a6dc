"""What goes wrong in a process of several: it dies or fails at a moment that the variable FAULTS tells."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch.distributed as dist
from transformers import TrainerCallback

from adapt_core.pipeline import saving
from adapt_core.runs.checkpoints import Checkpoints


class Fault(TrainerCallback):
    """A tracker, for ``training.trackers``, that ends its process.

    ``FAULTS`` has ``attempt:rank:moment:step`` of each fault, with commas between. Moments are ``start``, before the
    first step; ``step``, between the gradients of a step and its update; ``save``, when the checkpoint after a step is
    written and not yet marked as whole; ``raise``, an error in a step. The step is the number of those done before,
    and of ``save`` those done by then.

    After how many steps the main process begins is left in the run's folder. Where there is ``FAULTS``, nothing that
    is saved is loaded again, which takes as long as all the rest.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        attempt = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
        if args.process_index == 0:
            path = Path(args.output_dir).parent / f"begun-{attempt}.txt"
            path.write_text(f"{state.global_step}")
        if dist.is_initialized():
            dist.barrier()  # what is written above must be there before a process dies, whose end ends all
        if "FAULTS" in os.environ:
            saving._differences = lambda *_: {"model": 0.0}
        faults = [each.split(":") for each in os.environ.get("FAULTS", "").split(",") if each]
        self.faults = {
            (moment, int(step))
            for number, rank, moment, step in faults
            if (int(number), int(rank)) == (attempt, args.process_index)
        }
        self._die_at("start", state.global_step)
        for moment, step in self.faults:
            if moment == "save":
                _die_before_marking(step)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if ("raise", state.global_step) in self.faults:
            raise ValueError("the tracker is broken")
        self._die_at("step", state.global_step)

    def _die_at(self, moment: str, step: int) -> None:
        if (moment, step) in self.faults:
            os.kill(os.getpid(), signal.SIGKILL)


def _die_before_marking(step: int) -> None:
    mark = Checkpoints.mark_complete

    def mark_or_die(self: Checkpoints, number: int) -> None:
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)
        mark(self, number)

    Checkpoints.mark_complete = mark_or_die  # type: ignore[assignment, method-assign]  # in a process that is going to die
