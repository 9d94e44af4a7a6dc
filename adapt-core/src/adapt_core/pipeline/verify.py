"""``python -m adapt_core.pipeline.verify RUN SCRATCH``: compares what a run saved with the trained model, by outputs.

A process of its own, so that nothing of the training is in memory. See :mod:`adapt_core.pipeline.saving`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from adapt_core.models.tolerance import compared
from adapt_core.pipeline.saving import read_outputs, read_rows
from adapt_core.runs.folder import RunFolder
from adapt_core.runs.loading import load_artifact
from adapt_core.terminal.quiet import quiet_libraries
from adapt_core.utils.files import write_json


@quiet_libraries()
def main(run: str, scratch: str) -> None:
    """Writes ``differences.json`` into the scratch folder: the largest absolute difference by what was loaded."""
    folder = RunFolder(run)
    rows, export = read_rows(Path(scratch))
    expected = read_outputs(Path(scratch))
    plan, task, model, info = load_artifact(folder)
    found: dict[str, Any] = {folder.model.name: task.outputs(model, rows, info)}
    if export is not None and plan.saver is not None:
        saver = plan.saver.make()
        found[folder.export.name] = task.outputs(saver.load(Path(export), task, info), rows, info)
    write_json(
        Path(scratch) / "differences.json",
        {
            name: compared(expected.get(name, expected[folder.model.name]), outputs)[0]
            for name, outputs in found.items()
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
