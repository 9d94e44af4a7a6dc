"""BitFit: the change of every bias, as SSF's shift without its scale."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.methods.bitfit.options import BitfitOptions
from adapt_core.methods.own_tuner import OwnTuner
from adapt_core.methods.targets import named_exactly, require_layer_types, resolve, selected


class Bitfit(OwnTuner):
    """Trains the biases, as what is added to them: a small file that merges into them exactly."""

    name: ClassVar[str] = "bitfit"

    def __init__(self, options: BitfitOptions) -> None:
        self.options = options

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The ``SsfConfig`` for a model. Raises AdaptError when no layer has a bias."""
        from adapt_core.peft import SsfConfig

        targets = self.options.target_modules
        layers = {name: module.get_submodule(name) for name in self.layers(module, hints)}
        names = [name for name, layer in layers.items() if getattr(layer, "bias", None) is not None]
        if targets is not None:
            wanted = selected(module, resolve(module, hints, targets, types=self.layer_types))
            require_layer_types(module, wanted, self.layer_types, self.name)
            names = [name for name in wanted if name in names]
        if not names:
            raise AdaptError(f"bitfit: {type(module).__name__} has no bias outside its head", "Choose another method.")
        return SsfConfig(
            target_modules=named_exactly(module, names),
            scale=False,
            modules_to_save=list(self.options.modules_to_save),
        )
