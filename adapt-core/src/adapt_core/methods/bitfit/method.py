"""BitFit: the change of every bias, as SSF's shift without its scale."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.methods.bitfit.options import BitfitOptions
from adapt_core.methods.shared.layer_checks import adapted_of, why_left_out
from adapt_core.methods.shared.own_tuner import OwnTunerMethod
from adapt_core.methods.shared.targets import named_exactly, selected


class Bitfit(OwnTunerMethod):
    """Trains the biases, as what is added to them: a small file that merges into them exactly."""

    name: ClassVar[str] = "bitfit"

    options: BitfitOptions

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The ``SsfConfig`` for a model. Raises AdaptError when no layer has a bias."""
        from adapt_core.peft import SsfConfig

        targets = self.options.target_modules
        layers = self.layers(module, hints)
        if targets is not None:
            wanted = selected(module, self.resolved(module, hints, targets))
            self.require_layers(module, wanted)
            layers = [name for name in wanted if name in layers]
        layers = [name for name in layers if getattr(module.get_submodule(name), "bias", None) is not None]
        names = adapted_of(module, layers, self.layer_types, self.why_not_fit)
        if not names:
            raise AdaptError(
                f"bitfit: {type(module).__name__} has no bias outside its head"
                + why_left_out(module, layers, self.layer_types, self.why_not_fit),
                "Choose another method.",
            )
        return SsfConfig(
            target_modules=named_exactly(module, names),
            scale=False,
            modules_to_save=list(self.options.modules_to_save),
        )

    def why_not_fit(self, layer: nn.Module) -> str | None:
        """Why the bias of a layer cannot take up a shift of its output; None where it can."""
        from adapt_core.peft.ssf.folding import why_not_foldable

        return why_not_foldable(layer, scale=False)
