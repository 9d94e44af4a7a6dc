"""What a task must offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from adapt_core.bundles import Data, Evaluated, Model, Row, Section
from adapt_core.interfaces.around import Quantizer

if TYPE_CHECKING:
    import numpy as np

    from adapt_core.plan.run_plan import RunPlan


class Task(Protocol):
    """A task. Made once a run, from the plan."""

    def __init__(self, plan: RunPlan) -> None: ...

    def load_data(self) -> Data:
        """Loads and checks the data. Raises :class:`~adapt_core.errors.AdaptError` for data that cannot work."""

    def load_split(self, source: str | None, split: str | None, info: Mapping[str, Any]) -> Data:
        """Rows to evaluate a finished run on, as :attr:`Data.evaluation`; there are no training rows.

        Args:
            source: other data than the run's own, None for that.
            split: which split; None for the one that the run evaluated on.
            info: the run's ``data.json``.
        """

    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """Loads the model.

        Args:
            info: :attr:`Data.info`, of this run or read back from ``data.json``.
            path: a folder that a run saved a whole model in; None for the base model that the plan names.
            quantizer: gives arguments for the library's loading function; told which modules stay as they are.
        """

    def engine_inputs(self, data: Data, model: Model) -> Any:
        """What the task's engine takes: its own agreement with that engine."""

    def preview(self, data: Data) -> Sequence[Section]:
        """What the run trains on, shown before it starts: a few rows as the model will see them."""

    def sections(self, evaluated: Evaluated, data: Data) -> Sequence[Section]:
        """Parts of the report: sample predictions, a confusion matrix, …."""

    def probe_rows(self, data: Data) -> Sequence[Row]:
        """A few real rows on which a saved model is compared with the trained one."""

    def outputs(self, model: Model, rows: Sequence[Row]) -> np.ndarray:
        """The model's raw outputs for rows, in evaluation mode, float32, first axis the rows."""

    def parse_inputs(self, inputs: Sequence[str], file: Path | None, info: Mapping[str, Any]) -> Sequence[Row]:
        """Rows from the command line's arguments and a file, for prediction; ``info`` is the run's ``data.json``."""

    def predict(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
        """One JSON-serialisable prediction a row."""

    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``, with Python code that loads it without Adapt.

        Args:
            info: the run's ``data.json``.
            folder: ``model/`` with what the method and the processor have saved.
        """
