"""A finished run, ready to use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapt_core.bundles import Model, Row
from adapt_core.interfaces import Task
from adapt_core.plan.run_plan import RunPlan
from adapt_core.runs.folder import RunFolder


@dataclass(frozen=True)
class LoadedRun:
    """What a finished run left, ready to use.

    Attributes:
        folder: where it lies.
        plan: what it did.
        task: its task.
        model: the fine-tuned model in evaluation mode (``model.module``) with its processor.
        info: the content of ``data.json``.
        adapter: the name of its adapter in a module that holds several; None for the first.
    """

    folder: RunFolder
    plan: RunPlan
    task: Task
    model: Model
    info: Mapping[str, Any]
    adapter: str | None = None

    def add(self, path: str | Path) -> LoadedRun:
        """Puts another run's adapter on the same base model, which is in memory once.

        Both runs can be used afterwards, in turn: ``predict`` takes the adapter of the run that it is called on.

        Args:
            path: the folder of a finished run with the same task, base model and quantization, a head of as many
                labels, and a method of the same kind (LoRA and DoRA are of one).

        Raises:
            AdaptError: there is no finished run in the folder, or the two cannot be on one base, with the reason.
        """
        from adapt_core.runs.loading import load_beside
        from adapt_core.terminal.quiet import quiet_libraries

        folder = RunFolder.open(path)
        with quiet_libraries():
            return LoadedRun(folder, *load_beside(self.folder, self.plan, self.model, folder))

    def use(self) -> None:
        """Has ``model.module`` compute with this run's adapter, where :meth:`add` has put others beside it."""
        method = self.plan.method.make()
        method.use(self.model.module, self.adapter)

    def parse_inputs(self, inputs: Sequence[str], file: Path | None = None) -> Sequence[Row]:
        """Rows out of strings, or out of a file with the columns of the training data."""
        return self.task.parse_inputs(inputs, file, self.info)

    def predict(self, rows: Sequence[Row] | Sequence[str], /, **options: Any) -> list[dict[str, Any]]:
        """One prediction a row; see :meth:`predictions`."""
        return list(self.predictions(rows, **options))

    def predictions(self, rows: Sequence[Row] | Sequence[str], /, **options: Any) -> Iterator[dict[str, Any]]:
        """One prediction a row, each as soon as its batch is through; or what the task makes of it where options ask.

        Args:
            rows: as :meth:`parse_inputs` gives them; one may be a plain string where the task takes that, and stands
                for as many rows as that makes of it: a folder of images, say, for all of them.
            options: of a prediction by this task (``adapt explain task NAME``), such as ``max_new_tokens``.

        Raises:
            ConfigError: an option is unknown or has a wrong value; at once, not with the first prediction.
        """
        from adapt_core.config.validate import validate_options
        from adapt_core.plugins.registry import option_model

        spec = self.plan.task.spec
        asked = validate_options(option_model(spec.prediction), options, f"prediction of {spec.name}")
        parsed: list[Row] = []
        for row in rows:
            parsed += self.parse_inputs([row]) if isinstance(row, str) else [row]
        return self._predicted(parsed, asked)

    def _predicted(self, rows: Sequence[Row], options: Any) -> Iterator[dict[str, Any]]:
        from adapt_core.terminal.progress import current

        self.use()
        with current().counting("Rows predicted", len(rows)) as done:
            for number, prediction in enumerate(self.task.predict(self.model, rows, self.info, options), start=1):
                done(number)
                yield from self.task.results(prediction, number, options)


def load_run(path: str | Path) -> LoadedRun:
    """Loads the model that a finished run saved.

    Raises:
        AdaptError: there is no finished run in the folder, or a plugin of it is not installed.
    """
    from adapt_core.runs.loading import load_artifact
    from adapt_core.terminal.progress import current
    from adapt_core.terminal.quiet import quiet_libraries

    folder = RunFolder.open(path)
    with quiet_libraries(), current().stage("Loading the model"):
        plan, task, model, info = load_artifact(folder)
    return LoadedRun(folder, plan, task, model, info)
