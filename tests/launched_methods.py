"""Methods trained for a few steps on a tiny model, many in one start of processes."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from peft import PeftModel
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

from adapt_core.bundles import Model
from adapt_core.config.validate import validate_options
from adapt_core.engines.spec import TRAINER
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer, World
from adapt_core.kinds import Kind
from adapt_core.models.architecture import head_and_output, hints_for
from adapt_core.models.pretrained import save_model
from adapt_core.pipeline.applying import applied, require_trained
from adapt_core.plan.run_plan import Choice
from adapt_core.plugins.registry import Registry
from adapt_core.runs.folder import RunFolder
from adapt_core.terminal.progress import progress_for
from adapt_core.terminal.quiet import quiet_libraries
from adapt_core.testing.engines import plan_for, trainer_inputs
from adapt_core.testing.models import MODELS

STEPS, ROWS, HALF = 3, 4, 2
"""Steps, rows in each, and the step after which there is a checkpoint."""


@dataclass(frozen=True)
class MethodRun:
    """A method on a tiny model.

    Attributes:
        method: its name.
        options: of it.
        model: the tiny model's name.
        folder: where the log, the checkpoint and ``model`` go.
        rate: the learning rate.
        spare: whether the model has a layer besides that nothing uses.
        resume: go on from the checkpoint in the folder.
        world: attributes of the world, as a start for this run alone would have them.
        quantization: options of bnb_4bit, on whose base the method is; None for a base that is not quantized.
        training: options of ``training``, over the others.
    """

    method: str
    options: Mapping[str, Any]
    model: str
    folder: Path
    rate: float = 1e-3
    spare: bool = False
    resume: bool = False
    world: Mapping[str, Any] = field(default_factory=dict)
    quantization: Mapping[str, Any] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)


def train_all(runs: Sequence[MethodRun], world: World) -> list[str | None]:
    """Trains methods one after the other; of each what went wrong in any process, or None."""
    found = []
    gc.collect()
    gc.freeze()  # the Trainer collects garbage in each training: what is imported by now is none
    # A model card takes as long as all steps together.
    with quiet_libraries(), patch.object(PeftModel, "create_or_update_model_card"):
        for run in runs:
            for name, value in run.world.items():
                setattr(world, name, value)
            found.append(next((each for each in world.gather(_failure(run, world)) if each), None))
    gc.unfreeze()
    return found


def _failure(run: MethodRun, world: World) -> str | None:
    """What a refusal says, which comes in every process alike; any other error ends them all."""
    try:
        train(run, world)
    except AdaptError as error:
        return f"{error.message} {error.hint or ''}"
    # Broad: a method may raise anything. It goes on as it came, and says which method it was.
    except Exception as error:
        error.add_note(f"{run.method} on {run.model}, {dict(run.options)}")
        raise
    return None


def train(run: MethodRun, world: World) -> None:
    """As the pipeline does it: processes that need not read the base's weights have zeros in their place."""
    registry = Registry.load()
    entry = registry.get(Kind.METHOD, run.method)
    options = validate_options(registry.options(entry.spec), dict(run.options), run.method)
    method: Any = registry.load_target(entry)(options)
    tiny = MODELS[run.model]
    module = tiny.seeded()
    quantizer = _quantizer(run.quantization, registry) if run.quantization is not None else None
    if quantizer is not None:
        module = _quantized(module, quantizer.make(), run.folder / "base", world)
    all_read = method.reads_base or quantizer is not None
    if world.sharding is not None and world.sharding["one_reads"] and not world.is_main and not all_read:
        with torch.no_grad():
            for each in module.parameters():
                each.zero_()
    torch.manual_seed(0)
    if run.spare:
        module.spare = torch.nn.Linear(2, 2)
    hints = replace(hints_for(module), fresh=tiny.fresh)
    adapted = applied(method, module, hints)
    require_trained(adapted)
    run.folder.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(run.folder)
    plan = plan_for(
        TRAINER, entry.spec, run.folder, max_steps=STEPS, batch_size=ROWS // 2, lr=run.rate, logging_steps=1,
        gradient_accumulation_steps=2 // world.size, interval_steps=HALF, **run.training,
    )  # fmt: skip
    plan = replace(plan, quantizer=quantizer)
    engine = plan.make_engine(folder, world, progress_for(quiet=True))
    engine.check()
    model = Model(adapted, None, hints)
    inputs = trainer_inputs(tiny)
    if quantizer is not None:
        inputs = replace(inputs, callbacks=[Shares(run.folder / f"shares-{world.rank}.json")])
    engine.train(model, method, inputs, folder.checkpoints.at(HALF) if run.resume else None)
    model = engine.gathered(model)
    if isinstance(wrapped := engine._trainer.model_wrapped, torch.nn.parallel.DistributedDataParallel):
        (run.folder / "looks.txt").write_text(str(wrapped.find_unused_parameters))
    if world.is_main and entry.spec.saves == "adapter":
        method.save(model.module, run.folder / "model")
    elif world.is_main:
        save_model(model, run.folder / "model")
    world.barrier()


class Shares(TrainerCallback):
    """Writes, after each step, what this process has of each quantized weight: its bytes, and those of the whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_step_end(self, *_: Any, model: Any, **__: Any) -> None:
        codes = {name: each for name, each in model.named_parameters() if not each.is_floating_point()}
        shares = {
            name: ((each.to_local() if isinstance(each, DTensor) else each).nbytes, each.nbytes)
            for name, each in codes.items()
        }
        self.path.write_text(json.dumps(shares))


def _quantizer(options: Mapping[str, Any], registry: Registry) -> Choice:
    entry = registry.get(Kind.QUANTIZER, "bnb_4bit")
    return Choice(entry.spec, validate_options(registry.options(entry.spec), dict(options), "bnb_4bit"))


def _quantized(module: Any, quantizer: Quantizer, folder: Path, world: World) -> Any:
    """A model with the weights of another, quantized as it is read, in each process."""
    if world.is_main:
        module.save_pretrained(folder)
    world.barrier()
    again = type(module).from_pretrained(folder, **quantizer.load_kwargs(head_and_output(module)))
    return quantizer.prepare(Model(again, None, hints_for(again))).module
