"""What a task must offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt_core.bundles import Data, Evaluated, Inspected, Model, Row, Section
from adapt_core.errors import AdaptError
from adapt_core.interfaces.around import Quantizer

if TYPE_CHECKING:
    import numpy as np

    from adapt_core.plan.run_plan import RunPlan


class Task(ABC):
    """A task, made once a run, from the plan. Extend it."""

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan

    # ---- data and model -------------------------------------------------------------------------------------------

    @abstractmethod
    def load_data(self) -> Data:
        """Loads and checks the data. Raises :class:`~adapt_core.errors.AdaptError` for data that cannot work."""

    @abstractmethod
    def load_split(self, source: str | None, split: str | None, info: Mapping[str, Any]) -> Data:
        """Rows to evaluate a finished run on, as :attr:`Data.evaluation`; there are no training rows.

        Args:
            source: other data than the run's own, None for that.
            split: which split; None for the one that the run evaluated on.
            info: the run's ``data.json``.
        """

    def load_processor(self, info: Mapping[str, Any], path: Path | None = None) -> Any:
        """What makes a row into the model's input (a tokenizer, an image processor), without the model.

        Args:
            info: :attr:`Data.info`.
            path: a folder that a run saved it in; None for that of the base model.

        Returns:
            None where the task has none.
        """
        return None

    @abstractmethod
    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """Loads the model, in float32 but for what is quantized: what is trained must be.

        Args:
            info: :attr:`Data.info`, of this run or read back from ``data.json``.
            path: a folder that :meth:`save_model` wrote; None for the base model that the plan names.
            quantizer: gives arguments for the library's loading function; told which modules stay as they are.
        """

    @abstractmethod
    def save_model(self, model: Model, folder: Path) -> None:
        """Writes a whole model and its processor in their library's own format; :meth:`load_model` reads them.

        Raises:
            AdaptError: the format cannot hold all of the model.
        """

    @abstractmethod
    def engine_inputs(self, data: Data, model: Model) -> Any:
        """What the task's engine takes: its own agreement with that engine."""

    # ---- what a person sees ---------------------------------------------------------------------------------------

    @abstractmethod
    def preview(self, data: Data) -> Sequence[Section]:
        """What the run trains on, shown before it starts: a few rows as the model will see them."""

    @abstractmethod
    def sections(self, evaluated: Evaluated, data: Data) -> Sequence[Section]:
        """Parts of the report: sample predictions, a confusion matrix, …."""

    def notices(self, evaluated: Evaluated, data: Data) -> Sequence[str]:
        """What a person should know of an evaluation beside its metrics: that the model has learnt nothing, ….

        The run shows it and its report too; here there is none. :mod:`adapt_core.utils.majority` is for classifiers.
        """
        return ()

    @abstractmethod
    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``, with Python code that loads it without Adapt.

        Args:
            info: the run's ``data.json``.
            folder: ``model/`` with what the method and the processor have saved.
        """

    def inspect(self, data: Data, processor: Any, examples: int) -> Sequence[Inspected]:
        """What the model will see of every split, for ``adapt data``.

        Args:
            data: from :meth:`load_data`.
            processor: from :meth:`load_processor`.
            examples: how many rows of each split to show.

        Raises:
            AdaptError: the task does not show its data, or no row of it can be used.
        """
        raise AdaptError(
            f"The task {self.plan.task.spec.name} does not show its data",
            "adapt run shows the first rows that it trains on.",
        )

    # ---- using the model ------------------------------------------------------------------------------------------

    @abstractmethod
    def probe_rows(self, data: Data) -> Sequence[Row]:
        """A few real rows on which a saved model is compared with the trained one."""

    @abstractmethod
    def outputs(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[np.ndarray]:
        """The model's raw outputs, in evaluation mode: one float32 array a row, of any shape.

        Args:
            model: its mode is left as it was.
            rows: as :meth:`probe_rows` or :meth:`parse_inputs` gives them.
            info: the run's ``data.json``.
        """

    @abstractmethod
    def parse_inputs(self, inputs: Sequence[str], file: Path | None, info: Mapping[str, Any]) -> Sequence[Row]:
        """Rows from the command line's arguments and a file, for prediction; ``info`` is the run's ``data.json``.

        The column of the answer need not be there.
        """

    @abstractmethod
    def predict(
        self, model: Model, rows: Sequence[Row], info: Mapping[str, Any], options: Any
    ) -> Iterable[dict[str, Any]]:
        """One JSON-serialisable prediction a row, each as soon as its batch is through.

        Args:
            model: the loaded model.
            rows: from :meth:`parse_inputs`.
            info: the run's ``data.json``.
            options: validated, of the model that the task's spec names as ``prediction``.
        """

    def results(self, prediction: dict[str, Any], number: int, options: Any) -> Iterable[dict[str, Any]]:
        """What is given out of a prediction: itself, unless the options ask for another form.

        Args:
            prediction: of one row.
            number: of the row, from 1.
            options: as in :meth:`predict`.
        """
        return [prediction]
