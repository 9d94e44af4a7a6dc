"""What Adapt's own tuners share: how their layers get into a model, and what every configuration of theirs has."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import Tensor, nn

from adapt_core.models.layers import why_not_called
from adapt_core.peft.registration import OwnPeftType


@dataclass
class OwnTunerConfig(PeftConfig):
    """The fields that all have.

    Attributes:
        target_modules: names, last parts of names, or one regular expression, as in PEFT.
        exclude_modules: layers that are left out though ``target_modules`` names them.
        modules_to_save: further modules that are trained whole and saved.
    """

    kind: ClassVar[OwnPeftType]

    target_modules: list[str] | str | None = field(default=None, metadata={"help": "Layers to adapt."})
    exclude_modules: list[str] | str | None = field(default=None, metadata={"help": "Layers to leave out."})
    modules_to_save: list[str] | None = field(default=None, metadata={"help": "Modules to train whole and save."})

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        self.peft_type: Any = self.kind
        for name in ("target_modules", "exclude_modules"):
            value = getattr(self, name)
            if isinstance(value, list):
                setattr(self, name, set(value))


class OwnTunerLayer(nn.Module, BaseTunerLayer):
    """A layer around a base layer. It has the base layer's settings: a model may look up a convolution's ``stride``."""

    def __getattr__(self, name: str) -> Any:
        """A setting of the base layer.

        The base layer's tensors, parts and methods are not handed out: with these the model could compute past the
        adapter.
        """
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "base_layer" or name.startswith("_"):
                raise
            found = getattr(self.base_layer, name, self)
            if found is self or isinstance(found, Tensor | nn.Module) or callable(found):
                raise
            return found


class OwnTuner(BaseTuner):
    """Wraps each targeted layer in a ``tuner_layer_cls``, or adds an adapter to one that is wrapped already."""

    target_module_mapping: dict[str, Any] = {}  # noqa: RUF012  # PEFT's own name and type

    @abstractmethod
    def put(self, layer: nn.Module, adapter_name: str, config: Any, key: str) -> nn.Module:
        """Puts an adapter on a layer.

        Args:
            layer: of the model, or a ``tuner_layer_cls`` around one.
            adapter_name: of the adapter.
            config: its configuration.
            key: the layer's dotted name.

        Returns:
            The ``tuner_layer_cls``: the given one where the layer is one.
        """

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
        if reason := why_not_called(target, parent):
            raise TypeError(f"{current_key} cannot be adapted: {reason}")
        layer = self.put(target, adapter_name, peft_config, current_key)
        if layer is target:
            return
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)
