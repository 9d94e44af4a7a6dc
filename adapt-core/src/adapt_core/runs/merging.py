"""Makes one ordinary model out of a run's base and adapter."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt_core.bundles import Model, Row
from adapt_core.errors import AdaptError, UsageError
from adapt_core.models.tolerance import compared, rounding, tolerance_for
from adapt_core.plugins.returned import module_from
from adapt_core.runs.loading import load_dequantized
from adapt_core.terminal.quiet import quiet_libraries
from adapt_core.utils.disk import told_when_full
from adapt_core.utils.files import follow_umask, read_json

if TYPE_CHECKING:
    from adapt_core.runs.loaded import LoadedRun


ELSEWHERE = "Name another folder with --output."


@quiet_libraries()
def merge_loaded(run: LoadedRun, output: Path, data: str | None) -> dict[str, Any]:
    """Writes the merged model into a new folder, loads it from there and compares outputs on real rows.

    Args:
        run: from :func:`adapt_core.runs.loaded.load_run`; its model cannot be used afterwards.
        output: the folder to write; must not exist, or be empty.
        data: other data to compare outputs on; None for the run's own.

    Returns:
        ``output``, the largest absolute ``difference`` of outputs before and after, the ``largest_output`` and the
        ``tolerance`` as a share of it; where the base is quantized, also ``difference_from_quantized``, that of
        dequantizing it, on whose weights the adapter is merged.

    Raises:
        UsageError: there is nothing to merge, or the folder is taken, cannot be made or lies in the run's own.
        AdaptError: the method cannot be merged, or the merged model's outputs differ past the tolerance; nothing is
            left behind then.
    """
    spec = run.plan.method.spec
    if spec.saves == "model":
        raise UsageError(f"There is nothing to merge: {run.folder.model} holds the whole model.")
    if not spec.merges:
        raise UsageError(f"The method {spec.name} cannot be merged into a model's weights.")
    _claim(output, run)
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, output, ignore_errors=True)  # no half of a model is left, whatever happens
        found = _merge(run, output, data)
        undo.pop_all()
    return found


def _claim(output: Path, run: LoadedRun) -> None:
    """Makes the folder. Raises UsageError where it is taken, cannot be made or lies in the run's own."""
    if output.resolve().is_relative_to(run.folder.path.resolve()):
        raise UsageError(f"{output} lies in the run's own folder, which is left as it is.", ELSEWHERE)
    try:
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise UsageError(f"{output} exists and is not empty.", ELSEWHERE)
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error}", ELSEWHERE) from error


def _merge(run: LoadedRun, output: Path, data: str | None) -> dict[str, Any]:
    run.use()
    rows = _rows(run, data)
    before = run.task.outputs(run.model, rows, run.info)
    found: dict[str, Any] = {}
    model = run.model
    if run.plan.quantizer is not None:
        model, before, found["difference_from_quantized"] = load_dequantized(run.folder, rows, before)
    limit = tolerance_for(model.module)
    method = run.plan.method.make()
    merged = module_from(method, "merge", method.merge(model.module))
    _write(model.with_module(merged), output, run)
    after = run.task.outputs(run.task.load_model(run.info, path=output), rows, run.info)
    difference, largest = compared(before, after)
    if not difference <= rounding(limit, largest):
        raise AdaptError(
            f"Merging changes outputs by up to {difference:.3g}, where the largest is {largest:.3g}; "
            f"{rounding(limit, largest):.3g} would be rounding",
            "Use the adapter beside its base instead.",
        )
    return found | {"output": str(output), "difference": difference, "largest_output": largest, "tolerance": limit}


def _rows(run: LoadedRun, data: str | None) -> Sequence[Row]:
    """Real rows: of other data, or those that the run evaluated on, or trained on where it evaluated on none."""
    if data is not None:
        return run.task.probe_rows(run.task.load_split(data, None, run.info))
    try:
        own = run.task.load_split(None, None, run.info) if run.info.get("evaluation") else run.task.load_data()
    except AdaptError as error:
        remedy = "Give other data with the same columns, to compare outputs on: --data PATH."
        error.hint = f"{error.hint} {remedy}".strip()
        raise
    return run.task.probe_rows(own)


def _write(model: Model, output: Path, run: LoadedRun) -> None:
    """A folder that the model's library loads."""
    with told_when_full(output, lambda: f"Free some of it. {ELSEWHERE}"):
        try:
            run.task.save_model(model, output)
        except AdaptError as error:
            raise AdaptError(error.message, _instead(run)) from error
    follow_umask(output)


def _instead(run: LoadedRun) -> str:
    """What to use where the architecture cannot have what merging adds: the run's export, where it holds that."""
    export = read_json(run.folder.result).get("export")
    remedy = "Use the adapter beside its base: load_run, or PeftModel of the peft library."
    if (
        export
        and (run.folder.path / export).exists()
        and run.plan.saver is not None
        and run.plan.saver.spec.added_biases
    ):
        remedy += f" The run has exported the merged weights in another format: {run.folder.path / export}"
    return remedy
