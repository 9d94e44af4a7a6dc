"""The tuner that puts SSF into a model."""

from __future__ import annotations

from typing import Any

from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from adapt_core.peft.ssf.layer import SsfLayer


class SsfModel(BaseTuner):
    """Scales and shifts the outputs of the targeted layers (Lian et al. 2022, arXiv 2210.08823)."""

    prefix = "ssf_"
    tuner_layer_cls = SsfLayer
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
        if isinstance(target, SsfLayer):
            target.update_layer(adapter_name, peft_config)
            return
        layer = SsfLayer(target, adapter_name, peft_config)
        if peft_config.keep == "auto" and self._changes_in_place:
            layer.keep[adapter_name] = False
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    @property
    def _changes_in_place(self) -> bool:
        return any(getattr(module, "inplace", False) for module in self.model.modules())
