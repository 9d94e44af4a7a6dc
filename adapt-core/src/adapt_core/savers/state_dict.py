"""The model's state dictionary, as ``torch.save`` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from adapt_core.bundles import Model
from adapt_core.interfaces import Task
from adapt_core.models.biases import adopt_biases
from adapt_core.models.ties import adopt_untied
from adapt_core.options import NoOptions


class StateDict:
    """Writes ``state_dict.pt``: tensors by name, read back with ``torch.load(…, weights_only=True)``."""

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def save(self, model: Model, folder: Path, task: Task) -> Path:
        """Returns the file."""
        path = folder / "state_dict.pt"
        torch.save(model.module.state_dict(), path)
        return path

    def load(self, path: Path, task: Task, info: Mapping[str, Any]) -> Model:
        """The base architecture with exactly the saved tensors."""
        model = task.load_model(info)
        state = torch.load(path, map_location="cpu", weights_only=True)
        adopt_biases(model.module, {name: tensor.shape for name, tensor in state.items()})
        adopt_untied(model.module, _apart(state))
        model.module.load_state_dict(state, strict=True)
        return model


def _apart(state: Mapping[str, torch.Tensor]) -> list[str]:
    """The names of the tensors, one name for those that share memory."""
    return list({tensor.data_ptr(): name for name, tensor in state.items() if tensor.numel()}.values())
