"""The model's weights as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt_core.bundles import Model
from adapt_core.interfaces import Task
from adapt_core.models.biases import adopt_biases
from adapt_core.models.ties import adopt_untied
from adapt_core.options import NoOptions


class Safetensors:
    """Writes ``model.safetensors``; tensors that share memory (tied weights) are stored once."""

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def save(self, model: Model, folder: Path, task: Task) -> Path:
        """Returns the file."""
        from safetensors.torch import save_model

        path = folder / "model.safetensors"
        save_model(model.module, str(path), metadata={"format": "pt"})
        return path

    def load(self, path: Path, task: Task, info: Mapping[str, Any]) -> Model:
        """The base architecture with exactly the saved tensors."""
        from safetensors import safe_open
        from safetensors.torch import load_model

        model = task.load_model(info)
        with safe_open(path, framework="pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        adopt_biases(model.module, shapes)
        adopt_untied(model.module, shapes)
        load_model(model.module, str(path), strict=True)
        return model
