"""Full fine-tuning."""

from __future__ import annotations

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.methods.shared.whole_model import WholeModel
from adapt_core.options import NoOptions


class Full(WholeModel):
    """Trains every floating-point parameter of the model."""

    options: NoOptions

    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        """All parameters require gradients."""
        for parameter in module.parameters():
            parameter.requires_grad_(parameter.is_floating_point())
        return module
