"""Saves what a run trained, and makes sure that what lies on the disk is what was trained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adapt_core.bundles import Data, Model
from adapt_core.errors import AdaptError
from adapt_core.interfaces import OWN_BASE, Method, Task
from adapt_core.models.biases import switches_for
from adapt_core.models.tolerance import compared, rounding, tolerance_for
from adapt_core.pipeline.timing import Stopwatch
from adapt_core.plan.run_plan import RunPlan
from adapt_core.plugins.returned import module_from
from adapt_core.runs.checksums import checksums, choices_sha256, sha256
from adapt_core.runs.folder import RunFolder
from adapt_core.runs.loading import load_dequantized
from adapt_core.utils.files import follow_umask, read_json, write_json, write_text

OF_SEVERAL = (
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GROUP_", "ROLE_",
    "TORCHELASTIC_", "ACCELERATE_", "FSDP_", "SLURM_", "PMI_", "PMIX_", "OMPI_", "MV2_",
)  # fmt: skip
"""How the names begin by which libraries tell that a process is one of several."""


def save(
    plan: RunPlan, folder: RunFolder, task: Task, method: Method, model: Model, data: Data, watch: Stopwatch
) -> dict[str, Any]:
    """Writes ``model/`` and the export, loads both again in a new process, and compares outputs on real rows.

    Returns:
        ``artifact`` and ``export`` (paths within the run folder; the latter may be None), ``reload_difference``, the
        largest absolute difference of outputs of each, ``sha256`` of the files in ``model/``, ``data_sha256`` of
        ``data.json`` and ``choices_sha256`` of task, method and quantization; with an export of a quantized base also
        ``difference_from_quantized``, that of dequantizing it.

    Raises:
        AdaptError: something saved gives other outputs than the trained model, with the numbers.
    """
    rows = task.probe_rows(data)
    expected = {folder.model.name: task.outputs(model, rows, data.info)}
    if plan.method.spec.saves == "model":
        writer = f"{plan.task.spec.target}.save_model"
        task.save_model(model, folder.model)
    else:
        writer = f"{plan.method.spec.target}.save"
        method.save(model.module, folder.model)
    if not folder.model.is_dir() or not any(folder.model.iterdir()):
        raise AdaptError(
            f"{writer} wrote nothing to {folder.model}",
            f"This is a mistake in the plugin. The trained weights are in {folder.checkpoints.path}.",
        )
    if model.processor is not None:
        for place in (folder.model, folder.model / OWN_BASE):
            if place.is_dir():
                model.processor.save_pretrained(place)
    write_text(folder.model / "README.md", task.card(data.info, folder.model))
    follow_umask(folder.model)
    saved = checksums(folder.model)
    # Before the export, for which a saver may change the model's precision.
    limit = tolerance_for(model.module)
    export = None
    found: dict[str, Any] = {}
    if plan.saver is not None:
        folder.export.mkdir(exist_ok=True)
        saver = plan.saver.make()
        if plan.quantizer is not None:
            quantized = expected[folder.model.name]
            model, expected[folder.export.name], found["difference_from_quantized"] = load_dequantized(
                folder, rows, quantized
            )
        merged = module_from(method, "merge", method.merge(model.module))
        export = saver.save(model.with_module(merged), folder.export, task)
        follow_umask(folder.export)
    with watch("verify", "Loading what was saved in a new process"):
        differences = _differences(folder, rows, expected, export)
    _, largest = compared(expected[folder.model.name], expected[folder.model.name])
    allowed = rounding(limit, largest)
    for name, difference in differences.items():
        if difference is None or difference > allowed:
            shown = "are not finite" if difference is None else f"differ by up to {difference:.3g}"
            raise AdaptError(
                f"What was saved in {folder.path / name} is not what was trained with method "
                f"{plan.method.spec.name}: its outputs {shown}, where {allowed:.3g} would be rounding",
                f"The trained weights are in {folder.checkpoints.path}. Please report this with the configuration.",
            )
    return {
        "artifact": folder.model.name,
        "export": export and str(export.relative_to(folder.path)),
        "reload_difference": differences,
        "sha256": saved,
        "data_sha256": sha256(folder.data),
        "choices_sha256": choices_sha256(folder.read_config()),
        **found,
    }


def require_exportable(plan: RunPlan, method: Any, module: Any) -> None:
    """Raises AdaptError, before any training, if the export cannot hold the biases that merging will add.

    Args:
        plan: of the run.
        method: which has been applied.
        module: the adapted model.
    """
    if plan.saver is None or plan.saver.spec.added_biases:
        return
    added = [f"{name}.bias" for name in method.added_biases(module)]
    base = module.get_base_model() if hasattr(module, "get_base_model") else module  # PEFT's wrapper has it
    _, names = switches_for(base, added) if added else ([], [])
    if names:
        name = plan.saver.spec.name
        raise AdaptError(
            f"save.name (SAVE_METHOD) is {name}: merging will give {len(names)} layers a bias, {names[0]} among them, "
            f"which the architecture of this model lacks and {name} cannot hold",
            "Export with save.name=state_dict or safetensors, or with none: model/ holds the adapter.",
        )


def _differences(
    folder: RunFolder, rows: Any, expected: Mapping[str, Sequence[np.ndarray]], export: Path | None
) -> dict[str, float | None]:
    """Largest absolute difference of outputs by what was loaded, from a process that knows only the run folder.

    What is loaded is compared with the outputs expected of it, or of ``model/``. None where outputs are not finite.
    """
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        write_json(scratch / "rows.json", {"rows": list(rows), "export": str(export) if export else None})
        write_outputs(scratch, expected)
        torch.accelerator.empty_cache()  # the new process needs what this one has freed
        # -P: no module is to come from the folder in which the command happens to run.
        command = [sys.executable, "-P", "-m", "adapt_core.pipeline.verify", str(folder.path), str(scratch)]
        # A process by itself, even where this one is of several.
        alone = {name: value for name, value in os.environ.items() if not name.startswith(OF_SEVERAL)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
        if done.returncode != 0:
            raise AdaptError(
                f"What was saved in {folder.path} cannot be loaded again:\n{done.stderr.strip()[-4000:]}",
                f"The trained weights are in {folder.checkpoints.path}. Please report this with the configuration.",
            )
        return dict(read_json(scratch / "differences.json"))


def write_outputs(scratch: Path, outputs: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Writes outputs by what they are of, an array a row."""
    arrays = {f"{name}/{row}": each for name, rows in outputs.items() for row, each in enumerate(rows)}
    np.savez(scratch / "expected.npz", allow_pickle=False, **arrays)


def read_outputs(scratch: Path) -> dict[str, list[np.ndarray]]:
    """Reads what :func:`write_outputs` wrote."""
    found: dict[str, list[np.ndarray]] = {}
    with np.load(scratch / "expected.npz", allow_pickle=False) as file:
        for key in file.files:  # in the order in which they were written
            found.setdefault(key.partition("/")[0], []).append(file[key])
    return found


def read_rows(scratch: Path) -> tuple[list[Any], str | None]:
    """What :func:`_differences` wrote for the new process: the rows, and where the export is."""
    content = json.loads((scratch / "rows.json").read_text(encoding="utf-8"))
    return content["rows"], content["export"]
