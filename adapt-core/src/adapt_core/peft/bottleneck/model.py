"""The tuner that puts bottleneck adapters into a model."""

from __future__ import annotations

from typing import Any

from torch import nn

from adapt_core.peft.bottleneck.layer import BottleneckLayer
from adapt_core.peft.tuner import OwnTuner


class BottleneckModel(OwnTuner):
    """Puts bottlenecks after or beside the targeted layers (Houlsby et al. 2019, arXiv 1902.00751)."""

    prefix = "bottleneck_"
    tuner_layer_cls = BottleneckLayer

    def put(self, layer: nn.Module, adapter_name: str, config: Any, key: str) -> nn.Module:
        """See :meth:`adapt_core.peft.tuner.OwnTuner.put`.

        Raises:
            TypeError: the layer is not linear.
            ValueError: the configuration reads the input of a module that is not there.
        """
        source = self._source(config, key)
        if isinstance(layer, BottleneckLayer):
            layer.update_layer(adapter_name, config, source)
            return layer
        return BottleneckLayer(layer, adapter_name, config, source)

    def _source(self, config: Any, key: str) -> nn.Module | None:
        """The module whose input the bottleneck at a layer reads; None for that layer or its output."""
        name = (config.input_modules or {}).get(key) if config.form == "parallel" else None
        if name is None:
            return None
        try:
            return self.model.get_submodule(name)  # type: ignore[no-any-return]
        except AttributeError as error:
            raise ValueError(f"input_modules: {name!r}, which the bottleneck at {key!r} reads, is no module") from error

    def unload(self) -> nn.Module:
        """The base model without the adapters."""
        for layer in self.model.modules():
            if isinstance(layer, BottleneckLayer):
                for name in list(layer.taps):
                    layer.untap(name)
        return super().unload()
