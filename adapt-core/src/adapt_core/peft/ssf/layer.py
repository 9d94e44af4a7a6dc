"""A layer with scale and shift after it."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from peft.tuners.tuners_utils import check_adapters_to_merge
from torch import Tensor, nn

from adapt_core.peft.ssf.channels import channels_of, fold
from adapt_core.peft.ssf.config import SsfConfig
from adapt_core.peft.ssf.folding import why_not_foldable
from adapt_core.peft.ssf.function import scale_shift
from adapt_core.peft.tuner import OwnTunerLayer

DEVIATION = 0.02
"""Of the normal initialisation, as in the paper's own code."""

SAFE = 0.05
"""Smallest scale for which features are computed back from the output."""


class SsfLayer(OwnTunerLayer):
    """Scales and shifts the output channels of a base layer (SSF, section 3.2).

    Args:
        base_layer: one of the layers in :data:`adapt_core.peft.ssf.channels.OPERATIONS`.
        adapter_name: of the first adapter.
        config: its configuration.
    """

    adapter_layer_names = ("ssf_scale", "ssf_shift")
    other_param_names = ("keep",)

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: SsfConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.ssf_scale = nn.ParameterDict()
        self.ssf_shift = nn.ParameterDict()
        self.keep: dict[str, bool | None] = {}
        self.seen: list[tuple[Tensor, int]] | None = None
        self.divisible: dict[str, bool] = {}
        self._disable_adapters = False
        self.merged_adapters: list[str] = []
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def update_layer(self, adapter_name: str, config: SsfConfig) -> None:
        """Adds an adapter."""
        base = self.get_base_layer()
        count = channels_of(base).count
        noise = [torch.randn(count) * DEVIATION if config.init == "normal" else torch.zeros(count) for _ in range(2)]
        if config.scale:
            self.ssf_scale[adapter_name] = nn.Parameter(1 + noise[0])
        self.ssf_shift[adapter_name] = nn.Parameter(noise[1])
        self.keep[adapter_name] = None if config.keep == "auto" else config.keep == "output"
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """The base layer's output, scaled and shifted by every active adapter in turn."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        result = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters or self.merged:
            return result
        for name in self.active_adapters:
            if name in self.ssf_shift:
                axis = channels_of(self.get_base_layer(), result).axis
                scale, shift = self._scale(name), self.ssf_shift[name]
                result = scale_shift(result, scale, shift, axis, keep_output=self._keeps_output(name))
                if self.seen is not None:
                    self.seen.append((result.detach(), result._version))
        return result

    @property
    def undecided(self) -> bool:
        """Whether an adapter is trained of which it is not known yet what to keep for the backward pass."""
        return any(name in self.ssf_scale and self.keep[name] is None for name in self.active_adapters)

    def decide(self, *, keep_output: bool) -> None:
        """Settles what the active adapters keep, where their configuration leaves it open."""
        for name in self.active_adapters:
            if self.keep.get(name, True) is None:
                self.keep[name] = keep_output

    def kept_scales(self) -> dict[str, Tensor]:
        """The scales by which the backward pass is to divide, by adapter."""
        return {
            name: self.ssf_scale[name]
            for name in self.active_adapters
            if self.keep.get(name) and name in self.ssf_scale
        }

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Folds adapters into the base layer's weight and bias. Raises TypeError where these cannot take them up."""
        for name in check_adapters_to_merge(self, adapter_names):
            if name in self.ssf_shift:
                shift, scale = self.ssf_shift[name].data, self._scale_of(name)
                if reason := why_not_foldable(self.get_base_layer(), scale=scale is not None):
                    raise TypeError(f"a {type(self.get_base_layer()).__name__} takes up no adapter: {reason}")
                if safe_merge and not all(torch.isfinite(each).all() for each in (scale, shift) if each is not None):
                    raise ValueError(f"the adapter {name!r} holds numbers that are not finite")
                fold(self.get_base_layer(), scale, shift)
                self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Takes merged adapters out again, up to rounding. Raises ValueError where a scale is zero."""
        if not self.merged:
            warnings.warn("Already unmerged. Nothing to do.", stacklevel=2)
            return
        while self.merged_adapters:
            name = self.merged_adapters[-1]
            shift, scale = self.ssf_shift[name].data, self._scale_of(name)
            if scale is not None and not bool(scale.all()):
                raise ValueError(f"the adapter {name!r} has a scale of zero and cannot be taken out again")
            fold(self.get_base_layer(), None, -shift)
            if scale is not None:
                fold(self.get_base_layer(), 1 / scale, torch.zeros_like(shift))
            self.merged_adapters.pop()

    def _scale(self, name: str) -> Tensor | None:
        scale: Tensor | None = self.ssf_scale.get(name)
        return scale

    def _scale_of(self, name: str) -> Tensor | None:
        scale = self._scale(name)
        return None if scale is None else scale.detach()

    def _keeps_output(self, name: str) -> bool:
        """Whether the backward pass can work from the output: asked for, and no scale too near zero to divide by.

        On a GPU looking waits for it, so that the model looks at all layers at once; one by itself looks at its own.
        """
        if name not in self.ssf_scale:
            return False
        scale = self.ssf_scale[name]
        if not self.keep[name] or not (torch.is_grad_enabled() and scale.requires_grad):
            return False
        known = self.divisible.get(name)
        return bool(scale.detach().abs().min() > SAFE) if known is None else known

    def __repr__(self) -> str:
        return "ssf." + super().__repr__()
