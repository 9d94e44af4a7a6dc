"""Loads what a run saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError
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
    plan = build_plan(folder.config, files_must_exist=False)
    info = read_json(folder.data)
    _require_readable(folder.model)
    task: Task = resolve(plan.task.spec.target)(plan)
    if plan.method.spec.saves == "model":
        model = task.load_model(info, path=folder.model)
    else:
        method = resolve(plan.method.spec.target)(plan.method.options)
        base = task.load_model(info)
        model = base.with_module(method.load(base.module, folder.model, base.hints))
    model.module.eval()
    return plan, task, model, info


def _require_readable(folder: Path) -> None:
    """Raises AdaptError that names the file when one of a saved model's is damaged."""
    from safetensors import SafetensorError, safe_open

    for path in sorted(folder.glob("*.json")):
        read_json(path)
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt"):
                pass  # the header is held against the size of the file
        except (SafetensorError, OSError) as error:
            raise AdaptError(f"{path} is damaged: {error}", "Restore it, or run the configuration again.") from error
