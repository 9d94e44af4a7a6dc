"""Last-layer tuning."""

from __future__ import annotations

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.methods.last_layer.options import LastLayerOptions
from adapt_core.methods.shared.whole_model import WholeModel
from adapt_core.models.batch_norm import hold_statistics


class LastLayer(WholeModel):
    """Trains the head and nothing else, or the head and the last blocks."""

    options: LastLayerOptions

    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        """The head, whatever is fresh and the last ``blocks`` blocks require gradients; the rest does not.

        Raises:
            AdaptError: the model has no head, or fewer blocks than asked for.
        """
        count = self.options.blocks
        if count > len(hints.blocks):
            raise AdaptError(
                f"last_layer: {count} blocks asked for, but the model has {len(hints.blocks)}",
                "Give a smaller method.blocks (last_layer).",
            )
        trained = {*hints.head, *hints.fresh, *hints.blocks[len(hints.blocks) - count :]}
        if not trained:
            raise AdaptError("last_layer: the model has no head that could be trained", "Choose another method.")
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        for name in trained:
            for parameter in module.get_submodule(name).parameters():
                parameter.requires_grad_(parameter.is_floating_point())
        for name in hints.loose:
            module.get_parameter(name).requires_grad_(True)
        hold_statistics(module)
        return module
