"""The whole module in one pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from adapt_core.bundles import Model
from adapt_core.interfaces import Task
from adapt_core.options import NoOptions


class FullTorchModel:
    """Writes ``model.pt`` with ``torch.save(module)``, in float32.

    The file is a pickle: loading it runs code, and needs the same classes. It is the only format of which that is true,
    and it is written only when the configuration names it.
    """

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def save(self, model: Model, folder: Path, task: Task) -> Path:
        """Returns the file."""
        path = folder / "model.pt"
        torch.save(model.module.float(), path)
        return path

    def load(self, path: Path, task: Task, info: Mapping[str, Any]) -> Model:
        """The pickled module with the run's processor. Only ever called on a file that this run has just written."""
        base = task.load_model(info)
        module = torch.load(path, map_location="cpu", weights_only=False)
        return Model(module=module, processor=base.processor, hints=base.hints)
