"""Loads what a run saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from adapt_core.bundles import Model, Row
from adapt_core.errors import AdaptError
from adapt_core.interfaces import OWN_BASE, Quantizer, Task
from adapt_core.models.tolerance import compared, rounding
from adapt_core.plan.build import build_plan
from adapt_core.plan.run_plan import Choice, RunPlan
from adapt_core.plugins.returned import module_from
from adapt_core.runs.base_model import require_same_base, require_same_weights
from adapt_core.runs.checksums import choices_sha256, require_intact, require_unchanged
from adapt_core.runs.folder import RunFolder
from adapt_core.utils.files import read_json

if TYPE_CHECKING:
    import numpy as np


def load_artifact(folder: RunFolder, *, dequantized: bool = False) -> tuple[RunPlan, Task, Model, Mapping[str, Any]]:
    """The plan of a run, its task, the model in ``model/`` in evaluation mode, and ``data.json``.

    Args:
        folder: the run's.
        dequantized: put the adapter on the quantized base's weights in float32, where the base is quantized.

    Raises:
        AdaptError: a file is missing, damaged or not what was saved, the base is another, or a plugin of the run is not
            installed.
    """
    plan = build_plan(folder.config, files_must_exist=False)
    _require_intact(folder)
    info = read_json(folder.data)
    task: Task = plan.make_task()
    if plan.method.spec.saves == "model":
        model = task.load_model(info, path=folder.model)
    else:
        method = plan.method.make()
        base = _base(plan, folder, task, info, dequantized)
        loaded = method.load(base.module, folder.model, base.hints)
        model = base.with_module(module_from(method, "load", loaded))
    model.module.eval()
    return plan, task, model, info


def load_dequantized(
    folder: RunFolder, rows: Sequence[Row], quantized: Sequence[np.ndarray]
) -> tuple[Model, Sequence[np.ndarray], float]:
    """The saved adapter of a run on its quantized base's weights in float32: what can be merged.

    Args:
        folder: the run's.
        rows: real ones.
        quantized: the outputs of the run's own model for them.

    Returns:
        The model, its outputs, and the largest absolute difference from ``quantized``.

    Raises:
        AdaptError: that is more than rounding, where the quantizer computes with the dequantized weights.
    """
    # From the files: layers of a quantizer may not keep what they were made from.
    plan, task, model, info = load_artifact(folder, dequantized=True)
    assert plan.quantizer is not None
    outputs = task.outputs(model, rows, info)
    limit = plan.quantizer.make().tolerance()
    difference, largest = compared(quantized, outputs)
    if limit is not None and not difference <= rounding(limit, largest):
        raise AdaptError(
            f"Dequantizing the base changes outputs by up to {difference:.3g}, where the largest is {largest:.3g}; "
            f"{rounding(limit, largest):.3g} would be rounding",
            "Use the adapter on its quantized base instead. Please report this with the configuration.",
        )
    return model, outputs, difference


def _base(plan: RunPlan, folder: RunFolder, task: Task, info: Mapping[str, Any], dequantized: bool) -> Model:
    """The model that the adapter of a run goes on, as the run had it."""
    quantizer: Quantizer | None = plan.quantizer.make() if plan.quantizer else None
    if (folder.model / OWN_BASE).is_dir():  # whose files are those that were saved
        return task.load_model(info, path=folder.model / OWN_BASE)
    base = task.load_model(info, quantizer=quantizer)
    require_same_base(folder, base, plan.model.source)
    if quantizer is None:
        return base
    base = quantizer.prepare(base)
    return base.with_module(quantizer.dequantize(base.module)) if dequantized else base


def load_beside(
    run: RunFolder, plan: RunPlan, model: Model, folder: RunFolder
) -> tuple[RunPlan, Task, Model, Mapping[str, Any], str]:
    """Another run, whose adapter is put beside the one that is loaded; the base is not loaded again.

    Args:
        run: the loaded run.
        plan: its plan.
        model: its model, whose module gets a second adapter, which is not used yet.
        folder: the other run.

    Returns:
        What :func:`load_artifact` returns, with the same module in the model, and the adapter's name in it.

    Raises:
        AdaptError: the two cannot be on one base, with the reason.
    """
    other = build_plan(folder.config, files_must_exist=False)
    _require_same_base(run, plan, folder, other)
    require_same_weights(run, folder)
    _require_intact(folder)
    info = read_json(folder.data)
    method: Any = other.method.make()
    if not method.has("add"):
        raise AdaptError(f"{folder.path}: the method {other.method.spec.name} cannot be put beside another adapter")
    name = method.add(model.module, folder.model)
    processor = model.processor
    if processor is not None:
        processor = type(processor).from_pretrained(folder.model)
    return other, other.make_task(), replace(model, processor=processor), info, name


def _require_same_base(run: RunFolder, plan: RunPlan, folder: RunFolder, other: RunPlan) -> None:
    for what, mine, theirs in (
        ("task", plan.task.spec.name, other.task.spec.name),
        ("base model", plan.model.source, other.model.source),
        ("library", plan.model.library, other.model.library),
        ("quantization", plan.quantizer, other.quantizer),
    ):
        if mine != theirs:
            shown = _told_apart(theirs, mine)
            raise AdaptError(
                f"{folder.path} has another {what}: {shown[0]}, and the loaded run has {shown[1]}",
                "Load it by itself, with load_run.",
            )
    for model in (run.model, folder.model):
        if (model / OWN_BASE).is_dir():
            raise AdaptError(
                f"The adapter in {model} belongs to a base of its own, {model / OWN_BASE}, which no other is made for",
                "Load each run by itself, with load_run.",
            )
    for each in (plan, other):
        if each.method.spec.saves == "model":
            raise AdaptError(
                f"The method {each.method.spec.name} saves a whole model, which shares no base with another run",
                "Load each run by itself, with load_run.",
            )


def _told_apart(first: Any, second: Any) -> tuple[str, str]:
    """Words that tell two values apart: the plugins' names, and where these are one, the first option that differs."""
    names = [str(each.spec.name if isinstance(each, Choice) else each or "none") for each in (first, second)]
    if names[0] == names[1]:
        own, other = first.options.model_dump(), second.options.model_dump()
        name = next(name for name in own if own[name] != other[name])
        return f"{names[0]} with {name} {own[name]}", f"{names[1]} with {name} {other[name]}"
    return names[0], names[1]


def _require_intact(folder: RunFolder) -> None:
    """Compares what a run saved and was told with the checksums in its result, which a run that is ending lacks."""
    result = read_json(folder.result) if folder.finished else {}
    require_intact(folder.model, result.get("sha256", {}))
    if "data_sha256" in result:
        require_unchanged(folder.data, result["data_sha256"])
    if "choices_sha256" in result and choices_sha256(folder.read_config()) != result["choices_sha256"]:
        raise AdaptError(
            f"{folder.config} was changed after the run: its task, method or quantization is another than that with "
            "which the model was trained",
            "Restore it, or run the configuration again.",
        )
