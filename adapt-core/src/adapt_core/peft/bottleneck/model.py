"""The tuner that puts bottleneck adapters into a model."""

from __future__ import annotations

from typing import Any

from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from adapt_core.peft.bottleneck.layer import BottleneckLayer, require_called


class BottleneckModel(BaseTuner):
    """Puts bottlenecks after or beside the targeted layers (Houlsby et al. 2019, arXiv 1902.00751)."""

    prefix = "bottleneck_"
    tuner_layer_cls = BottleneckLayer
    target_module_mapping: dict[str, Any] = {}  # noqa: RUF012  # PEFT's own name and type

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        require_called(target, parent)
        source = self._source(peft_config, current_key)
        if isinstance(target, BottleneckLayer):
            target.update_layer(adapter_name, peft_config, source)
            return
        layer = BottleneckLayer(target, adapter_name, peft_config, source)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

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
