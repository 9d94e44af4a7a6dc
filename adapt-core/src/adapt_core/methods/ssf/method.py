"""SSF through PEFT."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.methods.shared.layer_checks import adapted_of, why_left_out
from adapt_core.methods.shared.own_tuner import OwnTunerMethod
from adapt_core.methods.shared.targets import named_exactly
from adapt_core.methods.ssf.options import DEFAULT, SsfOptions


class Ssf(OwnTunerMethod):
    """A scale and a shift for every output channel."""

    name: ClassVar[str] = "ssf"

    options: SsfOptions

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The ``SsfConfig`` for a model. Raises AdaptError when it has none of the operations."""
        from adapt_core.peft import SsfConfig

        return SsfConfig(
            target_modules=self._targets(module, hints),
            init=self.options.init,
            keep=self.options.keep,
            modules_to_save=list(self.options.modules_to_save),
        )

    def added_biases(self, module: nn.Module) -> list[str]:
        """The layers without a bias, which the shift becomes."""
        from adapt_core.peft.ssf.layer import SsfLayer

        base: Any = module
        return [
            name
            for name, layer in base.get_base_model().named_modules()
            if isinstance(layer, SsfLayer) and getattr(layer.get_base_layer(), "bias", layer) is None
        ]

    def why_not_fit(self, layer: nn.Module) -> str | None:
        """Why a layer cannot take up a scale and a shift; None where it can."""
        from adapt_core.peft.ssf.folding import why_not_foldable

        return why_not_foldable(layer)

    def _targets(self, module: nn.Module, hints: Hints) -> Any:
        if self.options.target_modules is not None:
            return self.resolved(module, hints, self.options.target_modules)
        operations = self.options.operations or DEFAULT
        layers = self.layers(module, hints, operations)
        names = adapted_of(module, layers, self.layer_types, self.why_not_fit)
        if not names:
            raise AdaptError(
                f"{type(module).__name__} has none of the operations {', '.join(operations)} outside its head"
                + why_left_out(module, layers, self.layer_types, self.why_not_fit),
                "Name others in method.operations.",
            )
        return named_exactly(module, names)
