"""How each engine is given a tiny model to train, for the suite of methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adapt_core.bundles import Model
from adapt_core.config import DatasetOptions, ModelOptions, TrainingOptions
from adapt_core.interfaces import Method, World
from adapt_core.kinds import LauncherSpec, MethodSpec, TaskSpec
from adapt_core.options import NoOptions
from adapt_core.plan import Choice, RunPlan
from adapt_core.progress import progress_for
from adapt_core.registry import resolve
from adapt_core.run_folder import RunFolder
from adapt_core.testing.models import Tiny

STEPS, HALF = 10, 5

TRAINER = "adapt_core.engines.trainer.engine:TrainerEngine"


def train(
    engine: str, tiny: Tiny, model: Model, spec: MethodSpec, method: Method, folder: Path, rate: float, *, resume: bool
) -> None:
    """Takes ``STEPS`` steps, keeping a checkpoint every ``HALF``; or only those after the first checkpoint.

    Args:
        engine: a key of :data:`ENGINES`.
        tiny: whose rows are trained on, four at a time.
        model: what the method has been applied to; trained in place.
        spec: the method's.
        method: which has been applied.
        folder: the run's; when resuming, that of a training that is through.
        rate: the learning rate.
        resume: continue from the first checkpoint in the folder.
    """
    options = TrainingOptions(
        max_steps=STEPS,
        lr=rate,
        batch_size=4,
        num_workers=0,
        do_eval=False,
        interval="steps",
        interval_steps=HALF,
        checkpoints=STEPS,
    )
    plan = RunPlan(
        task=Choice(TaskSpec(name="tiny", summary="A tiny model.", target=engine, engine=engine), NoOptions()),
        method=Choice(spec, NoOptions()),
        quantizer=None,
        saver=None,
        launcher=Choice(LauncherSpec(name="none", summary="This process.", target=engine), NoOptions()),
        model=ModelOptions(path="tiny"),
        dataset=DatasetOptions(path="tiny"),
        training=options,
        train_head=None,
        train_batch_norm=False,
        seed=0,
        output_dir=str(folder),
    )
    folder.mkdir(exist_ok=True)
    run = RunFolder(folder)
    made = resolve(engine)(plan, run, World(), progress_for(quiet=True))
    made.check()
    checkpoint = run.checkpoints.at(HALF) if resume else None
    made.train(model, method, ENGINES[engine](tiny), checkpoint)


def _trainer_inputs(tiny: Tiny) -> Any:
    from adapt_core.engines.trainer.inputs import TrainerInputs

    batch = tiny.batch()
    rows = [{name: each[index] for name, each in batch.items()} for index in range(len(next(iter(batch.values()))))]
    return TrainerInputs(rows, None, _stacked, lambda _: {})


def _stacked(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


ENGINES: dict[str, Callable[[Tiny], Any]] = {TRAINER: _trainer_inputs}
"""What a task hands to each engine, made of a tiny model's batch."""
