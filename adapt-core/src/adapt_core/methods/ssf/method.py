"""SSF through PEFT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from adapt_core.errors import AdaptError
from adapt_core.interfaces import Hints
from adapt_core.methods.peft_adapter import PeftAdapter
from adapt_core.methods.ssf.options import SsfOptions
from adapt_core.methods.targets import named_exactly, output_embeddings, resolve


class Ssf(PeftAdapter):
    """A scale and a shift for every output channel."""

    def __init__(self, options: SsfOptions) -> None:
        self.options = options

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The ``SsfConfig`` for a model."""
        from adapt_core.peft import SsfConfig

        return SsfConfig(
            target_modules=self._targets(module, hints),
            init=self.options.init,
            keep=self.options.keep,
            modules_to_save=list(self.options.modules_to_save),
        )

    def load(self, module: nn.Module, folder: Path, hints: Hints) -> nn.Module:
        """Puts a saved adapter on a base model, ready for inference."""
        import adapt_core.peft  # noqa: F401  # makes SSF known to PEFT

        return super().load(module, folder, hints)

    def _targets(self, module: nn.Module, hints: Hints) -> Any:
        if self.options.target_modules is not None:
            return resolve(module, hints, self.options.target_modules)
        from adapt_core.peft.ssf.channels import OPERATIONS

        kinds = tuple(kind for name in self.options.operations for kind in OPERATIONS[name])
        outside = tuple(f"{each}." for each in (*hints.head, *hints.fresh))
        names = [
            name
            for name, layer in module.named_modules()
            if isinstance(layer, kinds)
            and layer is not output_embeddings(module)
            and not (outside and f"{name}.".startswith(outside))
        ]
        if not names:
            operations = ", ".join(self.options.operations)
            raise AdaptError(
                f"{type(module).__name__} has none of the operations {operations} outside its head",
                "Name others in method.operations.",
            )
        return named_exactly(module, names)
