"""The arrows of a run: ``data -> model -> method -> train -> evaluate -> save``, in every process alike."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from adapt_core.bundles import Evaluated, Trained
from adapt_core.interfaces import World
from adapt_core.models.counting import count_parameters
from adapt_core.models.experts import notices_of_experts
from adapt_core.pipeline.applying import applied, require_trained
from adapt_core.pipeline.environment import describe_environment, peak_memory_bytes
from adapt_core.pipeline.reading import read_once
from adapt_core.pipeline.resources import require_same_data, require_space_for, seed_everything
from adapt_core.pipeline.saving import require_exportable, save
from adapt_core.pipeline.timing import Stopwatch
from adapt_core.plan.run_plan import RunPlan
from adapt_core.runs.base_model import KEY, require_same_base
from adapt_core.runs.folder import RunFolder
from adapt_core.terminal.progress import Progress, progress_for, shown_by
from adapt_core.terminal.quiet import quiet_libraries
from adapt_core.utils.disk import told_when_full
from adapt_core.utils.files import read_json, write_json


@quiet_libraries()
def run_pipeline(plan: RunPlan, world: World) -> dict[str, Any]:
    """Runs a plan in a folder that has been claimed for it.

    Returns:
        The content of ``result.json``; nothing in a process that is not the main one.

    Raises:
        AdaptError: the run failed, with the reason; :class:`~adapt_core.errors.Interrupted` when it was stopped.
    """
    progress = progress_for(quiet=not world.is_main)
    with shown_by(progress):
        return _run(plan, world, progress)


def _run(plan: RunPlan, world: World, progress: Progress) -> dict[str, Any]:
    folder = RunFolder(plan.output_dir)
    watch = Stopwatch(progress)
    engine = plan.make_engine(folder, world, progress)
    engine.check()
    seed_everything(plan.seed)
    task = plan.make_task()
    method = plan.method.make()
    quantizer = plan.quantizer.make() if plan.quantizer else None

    with watch("load", "Loading the data"):
        data = task.load_data()
        require_same_data(folder, data)
    with watch("load", "Loading the model"):
        with read_once(world, method, quantizer):
            model = task.load_model(data.info, quantizer=quantizer)
        base = require_same_base(folder, model, plan.model.source) if world.is_main else None
    with watch("prepare", "Applying the method"):
        model = quantizer.prepare(model) if quantizer else model
        memory = quantizer.memory(model.module) if quantizer else None
        if plan.training.do_train:
            batch_norm = plan.train_batch_norm
            model = model.with_module(applied(method, model.module, model.hints, train_batch_norm=batch_norm))
            require_trained(model.module)
            require_exportable(plan, method, model.module)
            require_space_for(plan, folder, model.module, with_base=method.changes_base)
        else:  # the model as it is
            model.module.requires_grad_(False)
        inputs = task.engine_inputs(data, model)
        parameters = count_parameters(model.module)
    if world.is_main:
        write_json(folder.environment, describe_environment() | {KEY: base, "world": world.describe()})
        write_json(folder.data, data.info)
        progress.show(task.preview(data))
        of_quantizer = (f"Memory: {memory.text}", *quantizer.notices()) if quantizer and memory else ()
        trained_by = plan.method.options if plan.training.do_train else None
        of_experts = notices_of_experts(model.module, trained_by, quantized=quantizer is not None)
        for text in (*model.notices, *of_quantizer, *of_experts):
            progress.notice(text)

    disk = partial(told_when_full, folder.path, partial(_after_a_full_disk, folder))
    trained, evaluated, saved = None, None, None
    if plan.training.do_train:
        checkpoint = _checkpoint(folder, world) if plan.training.resume or world.attempt else None
        with disk():
            trained = engine.train(model, method, inputs, checkpoint)
        watch.add(prepare=trained.calibrating, train=trained.seconds)
        watch.add(evaluate=trained.evaluating, save=trained.saving)
        parameters = count_parameters(model.module)  # calibration may have changed them
    if plan.training.do_eval:
        with watch("evaluate", "Evaluating"):
            evaluated = engine.evaluate(model, inputs)
    if trained is not None and (world.size > 1 or world.sharding is not None):
        with watch("save", "Gathering the model"):
            model = engine.gathered(model)
    of_all = world.gather((trained.samples if trained else 0, peak_memory_bytes()))
    if not world.is_main:  # nothing that follows waits for the others
        return {}
    notices = list(task.notices(evaluated, data)) if evaluated else []
    for text in notices:
        progress.notice(text)
    own = method.sections(model.module) if trained else ()  # saving may merge it
    if trained is not None:
        with disk(), watch("save", "Saving"):
            saved = save(plan, folder, task, method, model, data, watch)
    result = _result(trained, evaluated, sum(samples for samples, _ in of_all))
    result |= {
        "notices": notices,
        "parameters": parameters,
        "memory": asdict(memory) if memory else None,
        "timing_s": watch.seconds,
        "peak_memory_bytes": peak_memory_bytes(),
    }
    if world.size > 1:
        result["peak_memory_bytes_by_process"] = [peak for _, peak in of_all]
    result |= saved or {"artifact": None, "export": None}
    with disk():
        _finish(folder, result, [*(task.sections(evaluated, data) if evaluated else ()), *own])
    return result


def _checkpoint(folder: RunFolder, world: World) -> Path | None:
    """The checkpoint to go on from: the main process chooses, so that all take the same."""
    newest = None
    if world.is_main:
        if world.attempt:  # what the attempt before has left half-written; resuming by hand has done it by now
            folder.checkpoints.remove_unusable()
        newest = folder.checkpoints.newest()
    chosen = world.gather(newest.name if newest else None)[0]
    return folder.checkpoints.path / chosen if chosen else None


def _after_a_full_disk(folder: RunFolder) -> str:
    """How the run is to go on. One that has nothing saved may have left nothing to replace, which is no fault."""
    ways = f"continue with: adapt run {folder.path} --resume" if folder.checkpoints.newest() else "use --overwrite."
    return f"Free some of it, then {ways}"


def _result(trained: Trained | None, evaluated: Evaluated | None, samples: int) -> dict[str, Any]:
    """What the stages found, as ``result.json`` says it; ``samples`` are those of all processes."""
    metrics = {**(trained.metrics if trained else {}), **(evaluated.metrics if evaluated else {})}
    throughput = None
    if trained is not None and trained.seconds > 0:
        throughput = {"rows_per_second": samples / trained.seconds}
        if trained.loading is not None:
            throughput["loading_share"] = trained.loading / trained.seconds
    return {
        "status": "completed",
        "metrics": metrics,
        "steps": trained.steps if trained else 0,
        "throughput": throughput,
    }


def _finish(folder: RunFolder, result: dict[str, Any], sections: Any) -> None:
    """Writes the report, and last of all the result, which makes the run a finished one."""
    from adapt_core.report import write_report

    write_report(
        folder.report,
        config=folder.read_config(),
        environment=read_json(folder.environment),
        data=read_json(folder.data),
        metrics=folder.read_metrics(),
        result=result,
        sections=sections,
    )
    write_json(folder.result, result)
