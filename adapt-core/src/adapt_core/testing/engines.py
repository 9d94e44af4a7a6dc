"""How an engine is given a tiny model to train, for the suite of methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adapt_core.bundles import Model, Trained
from adapt_core.config.sections import DatasetOptions, ModelOptions
from adapt_core.interfaces import Method, World
from adapt_core.kinds import EngineSpec, LauncherSpec, Library, MethodSpec, TaskSpec
from adapt_core.options import NoOptions
from adapt_core.plan.run_plan import Choice, RunPlan
from adapt_core.plugins.references import resolve
from adapt_core.runs.folder import RunFolder
from adapt_core.terminal.progress import progress_for
from adapt_core.testing.models import Tiny

STEPS, HALF, BATCH = 10, 5, 4


def train(
    engine: EngineSpec,
    inputs: Any,
    model: Model,
    spec: MethodSpec,
    method: Method,
    folder: Path,
    rate: float,
    *,
    resume: bool,
) -> Trained:
    """Takes ``STEPS`` steps, keeping a checkpoint every ``HALF``; or only those after the first checkpoint.

    Args:
        engine: its spec.
        inputs: what a task hands to it; trained on ``BATCH`` rows at a time.
        model: what the method has been applied to; trained in place.
        spec: the method's.
        method: which has been applied.
        folder: the run's; when resuming, that of a training that has come to its end.
        rate: the learning rate.
        resume: continue from the first checkpoint in the folder.

    Returns:
        What the engine says it did.
    """
    plan = plan_for(engine, spec, folder, lr=rate)
    folder.mkdir(exist_ok=True)
    run = RunFolder(folder)
    made = plan.make_engine(run, World(), progress_for(quiet=True))
    made.check()
    checkpoint = run.checkpoints.at(HALF) if resume else None
    trained: Trained = made.train(model, method, inputs, checkpoint)
    return trained


def plan_for(engine: EngineSpec, method: MethodSpec, folder: Path, **options: Any) -> RunPlan:
    """A plan of ``STEPS`` steps on ``BATCH`` rows, with a checkpoint every ``HALF``.

    Args:
        engine: its spec.
        method: of the method, which has been applied.
        folder: the run's.
        options: of ``training``, over these.
    """
    given = {"max_steps": STEPS, "batch_size": BATCH, "num_workers": 0, "do_eval": False, "checkpoints": STEPS}
    training = resolve(engine.training)(**(given | {"interval": "steps", "interval_steps": HALF} | options))
    library = Library(name="tiny", engine=engine)
    tiny = TaskSpec(name="tiny", summary="A tiny model.", target=engine.target, libraries=(library,))
    return RunPlan(
        task=Choice(tiny, NoOptions()),
        method=Choice(method, NoOptions()),
        quantizer=None,
        saver=None,
        launcher=Choice(LauncherSpec(name="none", summary="This process.", target=engine.target), NoOptions()),
        library=library,
        model=ModelOptions(path="tiny"),
        dataset=DatasetOptions(path="tiny"),
        training=training,
        train_head=None,
        train_batch_norm=False,
        seed=0,
        output_dir=str(folder),
    )


def trainer_inputs(tiny: Tiny) -> Any:
    """A tiny model's batch, as a task hands it to the Trainer's engine."""
    from adapt_core.engines.trainer.inputs import TrainerInputs

    batch = tiny.batch()
    rows = [{name: each[index] for name, each in batch.items()} for index in range(len(next(iter(batch.values()))))]
    return TrainerInputs(rows, rows, _stacked)


def _stacked(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
