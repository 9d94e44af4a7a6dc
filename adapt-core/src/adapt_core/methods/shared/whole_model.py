"""What methods share that train a model's own parameters: no adapter, nothing to merge."""

from __future__ import annotations

from torch import nn

from adapt_core.interfaces import Method
from adapt_core.models.batch_norm import release_statistics


class WholeModel(Method):
    """Merging for methods that train a model's own parameters: the task saves and loads the whole model."""

    def merge(self, module: nn.Module) -> nn.Module:
        """The model as it is: there is nothing to merge."""
        release_statistics(module)
        return module
