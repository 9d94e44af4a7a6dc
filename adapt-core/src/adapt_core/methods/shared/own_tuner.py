"""What the methods share that are tuners of Adapt's own in PEFT."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.methods.shared.peft_adapter import PeftAdapter
from adapt_core.methods.shared.targets import require_layer_types, resolve
from adapt_core.models.layers import output_embeddings


class OwnTunerMethod(PeftAdapter):
    """A method whose tuner is in :mod:`adapt_core.peft`."""

    def load(self, module: nn.Module, folder: Path, hints: Hints) -> nn.Module:
        """Puts a saved adapter on a base model, ready for inference."""
        import adapt_core.peft  # noqa: F401  # makes its tuners known to PEFT

        return super().load(module, folder, hints)

    def add(self, module: nn.Module, folder: Path) -> str:
        """Loads a saved adapter beside those that are there; see :meth:`PeftAdapter.add`."""
        import adapt_core.peft  # noqa: F401

        return super().add(module, folder)

    def why_not_fit(self, layer: nn.Module) -> str | None:
        """Why a layer of a declared type cannot be adapted; None where it can."""
        return None

    def resolved(self, module: nn.Module, hints: Hints, asked: Any) -> list[str] | str:
        """The layers that a configuration names; see :func:`adapt_core.methods.shared.targets.resolve`."""
        return resolve(module, hints, asked, types=self.layer_types, why_not_fit=self.why_not_fit)

    def require_layers(self, module: nn.Module, names: Collection[str]) -> None:
        """Raises AdaptError for a targeted layer that the method cannot adapt."""
        require_layer_types(module, names, self.layer_types, self.called, self.why_not_fit)

    @staticmethod
    def layers(module: nn.Module, hints: Hints, operations: Collection[str] | None = None) -> list[str]:
        """The dotted names of the layers of some operations, or of all, outside the head.

        Args:
            module: the model.
            hints: its head and fresh layers.
            operations: keys of :data:`adapt_core.peft.ssf.channels.OPERATIONS`.
        """
        from adapt_core.peft.ssf.channels import OPERATIONS

        wanted = OPERATIONS if operations is None else operations
        kinds = tuple(kind for name in wanted for kind in OPERATIONS[name])
        return [
            name
            for name, layer in module.named_modules()
            if isinstance(layer, kinds) and layer is not output_embeddings(module) and not hints.holds(name)
        ]
