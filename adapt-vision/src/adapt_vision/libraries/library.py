"""What a library of image models must offer the tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from adapt_core.bundles import Model
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer
from adapt_core.plan.run_plan import RunPlan
from adapt_vision.libraries.options import VisionModel
from adapt_vision.processing import Processing


class ImageLibrary(ABC):
    """Loads, saves and calls the classifiers of one library.

    Args:
        plan: of the run.
        image_size: side of the square that the model reads; None for its own.
    """

    argument: ClassVar[str]
    """What the models call their input."""

    def __init__(self, plan: RunPlan, image_size: int | None) -> None:
        self.plan = plan
        self.options: VisionModel = plan.model  # type: ignore[assignment]
        self.image_size = image_size

    @abstractmethod
    def label_names(self) -> list[str]:
        """The classes that the base model's head knows, by id; none where it has no names for them."""

    def require_names(self, model: Model, names: Sequence[str], remedy: str) -> None:
        """Holds the names of a base model's head, where it keeps one, against the data's.

        Args:
            model: the base, loaded.
            names: of the data's classes, by id.
            remedy: what to do where they differ.

        Raises:
            AdaptError: they differ, and the head is not trained.
        """
        trained = self.plan.training.do_train and self.plan.train_head is not False
        own = [] if trained or model.hints.fresh else self.label_names()
        if own and own != list(names):
            raise AdaptError(
                f"The model's head knows {len(own)} classes, {', '.join(own[:5])}, …, the data has "
                f"{', '.join(names[:5])}, …, and the head is not trained: its answers would mean nothing",
                remedy,
            )

    @abstractmethod
    def load_processor(self, path: Path | None = None) -> Any:
        """What is saved beside the model to say how images become its input; ``path`` as in ``Task``."""

    @abstractmethod
    def load_model(self, names: Sequence[str], path: Path | None, quantizer: Quantizer | None) -> Model:
        """The classifier with one output a class, in float32.

        Args:
            names: of the classes.
            path: a folder that :meth:`save_model` wrote; None for the base model.
            quantizer: as in ``Task.load_model``.

        Raises:
            AdaptError: it cannot be loaded, or is not what the configuration says.
        """

    @abstractmethod
    def save_model(self, model: Model, folder: Path, names: Sequence[str]) -> None:
        """Writes the whole model as the library does. Raises AdaptError where its format cannot hold all of it."""

    @abstractmethod
    def processing(self, processor: Any) -> Processing:
        """The preprocessing that a processor stands for."""

    @abstractmethod
    def logits(self, module: Any, pixels: Tensor) -> Tensor:
        """Logits of shape (rows, classes), of pixels of shape (rows, 3, height, width)."""

    @abstractmethod
    def code(self, info: Mapping[str, Any], folder: Path) -> tuple[str, str]:
        """The name of the library that loads a saved folder, and Python code that does so without Adapt.

        The code leaves ``model``, ``labels`` and ``logits``, the last of the image at ``path``.
        """
