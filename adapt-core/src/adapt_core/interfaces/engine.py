"""What an engine must offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt_core.bundles import Evaluated, Model, Trained
from adapt_core.interfaces.method import Method
from adapt_core.interfaces.world import World

if TYPE_CHECKING:
    from adapt_core.plan.run_plan import RunPlan
    from adapt_core.runs.folder import RunFolder
    from adapt_core.terminal.progress import Progress


class Engine(ABC):
    """Takes the training steps. Extend it; a task's spec names it for a library of models.

    An engine means the same by every option of ``training`` as every other, or refuses it in :meth:`check`.
    """

    @abstractmethod
    def __init__(self, plan: RunPlan, folder: RunFolder, world: World, progress: Progress) -> None: ...

    @abstractmethod
    def check(self) -> None:
        """Raises :class:`~adapt_core.errors.AdaptError` for what this machine cannot do, before any work."""

    @abstractmethod
    def train(self, model: Model, method: Method, inputs: Any, checkpoint: Path | None) -> Trained:
        """Trains in place, from a checkpoint of an earlier attempt where one is given.

        Calls the phases of the method, and the progress's ``parameters`` once they are known.

        Raises :class:`~adapt_core.errors.Interrupted` when stopped from outside, after checkpointing.
        """

    def gathered(self, model: Model) -> Model:
        """The trained model in the main process as one process would have it; all processes call it, and no other use.

        Here it is the model as it is, which every process has whole.
        """
        return model

    @abstractmethod
    def evaluate(self, model: Model, inputs: Any) -> Evaluated:
        """Evaluates on the inputs' evaluation rows."""
