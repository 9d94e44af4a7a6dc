"""The tuner that puts SSF into a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves

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
        return SsfLayer(layer, adapter_name, config)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's; the first time in training, after finding out which layers may keep their output."""
        if self.training and torch.is_grad_enabled():
            layers = [each for each in self.model.modules() if isinstance(each, SsfLayer) and each.undecided]
            if layers:
                self._decide(layers, args, kwargs)
        return super().forward(*args, **kwargs)

    def _decide(self, layers: Sequence[SsfLayer], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Has the layers keep their output for the backward pass where nothing changes it in place.

        Which operations follow a layer is not to be read off a model: a forward pass that is thrown away shows it, by
        the version counters of the outputs. It leaves no trace in random numbers and running statistics.
        """
        devices = sorted({each.device for each in self.model.parameters() if each.device.type == "cuda"}, key=str)
        with torch.no_grad(), torch.random.fork_rng(devices), _statistics_kept(self.model):
            for layer in layers:
                layer.seen = []
            result = super().forward(*args, **kwargs)
            # What is returned may be changed by whoever called.
            given = {_place(each) for each in tree_leaves(result) if isinstance(each, Tensor)}
            for layer in layers:
                seen, layer.seen = layer.seen or [], None
                safe = all(each._version == version and _place(each) not in given for each, version in seen)
                layer.decide(keep_output=bool(seen) and safe)


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


@contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    """Puts the running statistics of batch normalisation back afterwards."""
    held = [each for module in model.modules() if isinstance(module, _BatchNorm) for each in module.buffers()]
    before = [each.clone() for each in held]
    yield
    for each, value in zip(held, before, strict=True):
        each.copy_(value)
