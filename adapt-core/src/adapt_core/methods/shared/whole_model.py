"""What methods share that save a whole model: no adapter, nothing to merge."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Method
from adapt_core.models.batch_norm import release_statistics


class WholeModel(Method):
    """Saving, loading and merging for methods that train a model's own parameters."""

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes the model with its library's own ``save_pretrained``; a plain module as ``model.safetensors``."""
        own = getattr(module, "save_pretrained", None)
        if own is not None:
            own(folder)
            return
        from safetensors.torch import save_model

        folder.mkdir(parents=True, exist_ok=True)
        save_model(module, str(folder / "model.safetensors"))

    def load(self, module: nn.Module, folder: Path, hints: Hints) -> nn.Module:
        """Never called: the task loads a whole model by itself."""
        raise AdaptError(f"{folder} holds a whole model, which the task loads by itself")

    def merge(self, module: nn.Module) -> nn.Module:
        """The model as it is: there is nothing to merge."""
        release_statistics(module)
        return module
