"""Evaluates what a finished run saved. Nothing is written into its folder."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from adapt_core.interfaces import World
from adapt_core.runs.folder import RunFolder
from adapt_core.terminal.progress import Progress, current
from adapt_core.terminal.quiet import quiet_libraries

if TYPE_CHECKING:
    from adapt_core.runs.loaded import LoadedRun


@quiet_libraries()
def evaluate_loaded(run: LoadedRun, source: str | None, split: str | None) -> dict[str, Any]:
    """Metrics of a loaded run's model.

    Args:
        run: from :func:`adapt_core.runs.loaded.load_run`.
        source: other data in place of the run's own.
        split: which split of it; by default the one that the run evaluated on.

    Returns:
        ``metrics`` by name, ``notices``, what a person should know of them, ``rows``, their number, ``data``, where
        they are from, and what the task has beside (``by_class``).

    Raises:
        AdaptError: the data cannot be evaluated on, with the reason.
    """
    run.use()
    with current().stage("Loading the data"):
        data = run.task.load_split(source, split, run.info)
    with tempfile.TemporaryDirectory() as scratch:
        plan = replace(run.plan, training=run.plan.training.for_evaluation())
        engine = plan.make_engine(RunFolder(scratch), World(), Progress())
        evaluated = engine.evaluate(run.model, run.task.engine_inputs(data, run.model))
    return {
        "metrics": dict(evaluated.metrics),
        **evaluated.beside,
        "notices": list(run.task.notices(evaluated, data)),
        "rows": len(data.evaluation),
        "data": data.info["evaluation"],
    }
