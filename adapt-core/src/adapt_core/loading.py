"""Loads what a run saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapt_core.files import read_json
from adapt_core.interfaces import Model, Task
from adapt_core.plan import RunPlan, build_plan
from adapt_core.registry import resolve
from adapt_core.run_folder import RunFolder


def load_artifact(folder: RunFolder) -> tuple[RunPlan, Task, Model, Mapping[str, Any]]:
    """The plan of a run, its task, the model in ``model/`` in evaluation mode, and ``data.json``.

    Raises:
        AdaptError: a file is missing, or a plugin of the run is not installed.
    """
    plan = build_plan(folder.config)
    info = read_json(folder.data)
    task: Task = resolve(plan.task.spec.target)(plan)
    if plan.method.spec.saves == "model":
        model = task.load_model(info, path=folder.model)
    else:
        method = resolve(plan.method.spec.target)(plan.method.options)
        base = task.load_model(info)
        model = base.with_module(method.load(base.module, folder.model, base.hints))
    model.module.eval()
    return plan, task, model, info
