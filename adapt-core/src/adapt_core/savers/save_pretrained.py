"""A folder as transformers' ``save_pretrained`` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt_core.bundles import Model
from adapt_core.interfaces import Task
from adapt_core.options import NoOptions


class SavePretrained:
    """Writes a folder that the library's ``from_pretrained`` loads, with the processor beside the weights."""

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def save(self, model: Model, folder: Path, task: Task) -> Path:
        """Returns the folder. Raises AdaptError where ``from_pretrained`` would not load all of the model."""
        path = folder / "save_pretrained"
        task.save_model(model, path)
        return path

    def load(self, path: Path, task: Task, info: Mapping[str, Any]) -> Model:
        """The folder, loaded as a whole model."""
        return task.load_model(info, path=path)
