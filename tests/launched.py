"""Several runs in one start of processes, which takes many times as long as they do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

from adapt_core.interfaces import World
from adapt_core.pipeline import saving
from adapt_core.pipeline.run import run_pipeline
from adapt_core.plan.run_plan import RunPlan


def run_all(plans: Sequence[RunPlan], world: World) -> list[dict[str, Any]]:
    """Runs plans one after the other, in folders that have been claimed, and loads nothing of what they save.

    Returns:
        The content of each one's ``result.json``, in the main process.
    """
    saving._differences = lambda *_: {"model": 0.0}
    found = []
    for plan in plans:
        for name, value in plan.launcher.make().settings().items():
            setattr(world, name, value)  # as a start for this plan alone would have it
        found.append(run_pipeline(plan, world))
    return found


class Held(TrainerCallback):
    """Writes into the run's folder how many numbers of the model's parameters this process has."""

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        own = [each.to_local() if isinstance(each, DTensor) else each for each in model.parameters()]
        path = Path(args.output_dir).parent / f"held-by-{args.process_index}.json"
        path.write_text(str(sum(each.numel() for each in own)))
