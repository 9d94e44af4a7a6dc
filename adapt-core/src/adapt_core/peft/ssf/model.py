"""The tuner that puts SSF into a model."""

from __future__ import annotations

from typing import Any

from torch import nn

from adapt_core.peft.ssf.layer import SsfLayer
from adapt_core.peft.tuner import OwnTuner


class SsfModel(OwnTuner):
    """Scales and shifts the outputs of the targeted layers (Lian et al. 2022, arXiv 2210.08823)."""

    prefix = "ssf_"
    tuner_layer_cls = SsfLayer

    def put(self, layer: nn.Module, adapter_name: str, config: Any, key: str) -> nn.Module:
        """See :meth:`adapt_core.peft.tuner.OwnTuner.put`."""
        if isinstance(layer, SsfLayer):
            layer.update_layer(adapter_name, config)
            return layer
        wrapped = SsfLayer(layer, adapter_name, config)
        if config.keep == "auto" and self._changes_in_place:
            wrapped.keep[adapter_name] = False
        return wrapped

    @property
    def _changes_in_place(self) -> bool:
        return any(getattr(module, "inplace", False) for module in self.model.modules())
