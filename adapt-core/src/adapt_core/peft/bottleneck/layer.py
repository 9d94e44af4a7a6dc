"""A linear layer with a bottleneck after it or beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # as everybody calls it
from transformers.pytorch_utils import Conv1D

from adapt_core.peft.bottleneck.config import BottleneckConfig
from adapt_core.peft.bottleneck.tap import Tap
from adapt_core.peft.tuner import OwnTunerLayer

NON_LINEARITIES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "leaky_relu": F.leaky_relu,
}
"""What can be between the two layers of a bottleneck."""


def widths(layer: nn.Module) -> tuple[int, int]:
    """How many features a linear layer takes and gives; a quantized one and transformers' ``Conv1D`` are linear too.

    Raises:
        TypeError: it is no linear layer.
    """
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    if isinstance(layer, Conv1D):
        return layer.nx, layer.nf
    raise TypeError(
        f"a bottleneck adapter reads and changes the features of linear layers, not those of a {type(layer).__name__}"
    )


class BottleneckLayer(OwnTunerLayer):
    """Adds ``s * (U f(D x + d) + u)`` to the output ``h`` of a linear layer (Houlsby et al. 2019, section 2.1).

    ``x`` is ``h`` itself in the serial form (He et al. 2021, equation 4) and an input in the parallel form (their
    table 1 and equation 6). ``U`` and ``u`` start at zero, so that nothing is added then.

    Args:
        base_layer: a linear layer; one with quantized weights serves as well, since it is only called.
        adapter_name: of the first adapter.
        config: its configuration.
        source: the module whose first argument the first adapter reads; only for the parallel form, where None means
            this layer.

    Raises:
        TypeError: the base layer is not linear.
        ValueError: there is no such non-linearity.
    """

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")
    other_param_names = ("settings",)

    def __init__(
        self, base_layer: nn.Module, adapter_name: str, config: BottleneckConfig, source: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.bottleneck_down = nn.ModuleDict()
        self.bottleneck_up = nn.ModuleDict()
        self.settings: dict[str, BottleneckConfig] = {}
        self.taps: dict[str, Tap] = {}
        self._disable_adapters = False
        self.merged_adapters: list[str] = []
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config, source)

    def update_layer(self, adapter_name: str, config: BottleneckConfig, source: nn.Module | None = None) -> None:
        """Adds an adapter; the arguments are those of the constructor."""
        if config.non_linearity not in NON_LINEARITIES:
            raise ValueError(f"non_linearity must be one of {', '.join(NON_LINEARITIES)}, not {config.non_linearity!r}")
        own, outputs = widths(self.get_base_layer())
        # What a sublayer reads is as wide as what it gives: the residual connection around it adds the two.
        inputs = own if config.form == "parallel" and source is None else outputs
        inner = max(1, inputs // config.reduction_factor)
        down, up = nn.Linear(inputs, inner), nn.Linear(inner, outputs)
        for zero in (down.bias, up.weight, up.bias):
            nn.init.zeros_(zero)
        self.bottleneck_down[adapter_name], self.bottleneck_up[adapter_name] = down, up
        self.settings[adapter_name] = config
        if source is not None:
            self.taps[adapter_name] = Tap(source)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """The base layer's output, changed by every active adapter in turn; in the dtype of the output."""
        result = self.base_layer(x, *args, **kwargs)
        tapped = {name: tap.take() for name, tap in self.taps.items()}  # all, so that none is kept
        if self.disable_adapters:
            return result
        for name in self.active_adapters:
            if name in self.bottleneck_down:
                serial = self.settings[name].form == "serial"
                read = result if serial else tapped.get(name, x)
                if read.shape[:-1] != result.shape[:-1]:
                    raise RuntimeError(
                        f"the bottleneck {name!r} reads a tensor of shape {tuple(read.shape)}, which cannot be added "
                        f"to an output of shape {tuple(result.shape)}"
                    )
                result = (result + self._bottleneck(name, read)).to(result.dtype)
        return result

    def _bottleneck(self, name: str, features: Tensor) -> Tensor:
        down, up, settings = self.bottleneck_down[name], self.bottleneck_up[name], self.settings[name]
        inner = down(features.to(down.weight.dtype))  # type: ignore[arg-type]
        inner = NON_LINEARITIES[settings.non_linearity](inner)
        inner = F.dropout(inner, settings.dropout, self.training)
        return settings.scaling * up(inner)  # type: ignore[no-any-return]

    def delete_adapter(self, adapter_name: str) -> None:
        """Takes an adapter away."""
        self.untap(adapter_name)
        super().delete_adapter(adapter_name)

    def untap(self, adapter_name: str) -> None:
        """Stops listening to the module that an adapter reads the input of."""
        if adapter_name in self.taps:
            self.taps.pop(adapter_name).remove()

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Raises NotImplementedError: there are no weights that a bottleneck could be folded into."""
        raise NotImplementedError(
            "between its two layers a bottleneck has a non-linearity, which no weight can take up"
        )

    def unmerge(self) -> None:
        """Nothing is ever merged."""

    def __repr__(self) -> str:
        return "bottleneck." + super().__repr__()
