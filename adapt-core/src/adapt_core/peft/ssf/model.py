"""The tuner that puts SSF into a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves

from adapt_core.peft.ssf.layer import SAFE, SsfLayer
from adapt_core.peft.tuner import OwnTuner


class SsfModel(OwnTuner):
    """Scales and shifts the outputs of the targeted layers (Lian et al. 2022, arXiv 2210.08823)."""

    prefix = "ssf_"
    tuner_layer_cls = SsfLayer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # On the base, since PEFT's wrapper of a model without a task calls that and not the tuner.
        self._hooks = [
            self.model.register_forward_pre_hook(_look, with_kwargs=True),
            self.model.register_forward_hook(_forget, always_call=True),
        ]

    def put(self, layer: nn.Module, adapter_name: str, config: Any, key: str) -> nn.Module:
        """See :meth:`adapt_core.peft.tuner.OwnTuner.put`."""
        if isinstance(layer, SsfLayer):
            layer.update_layer(adapter_name, config)
            return layer
        return SsfLayer(layer, adapter_name, config)

    def _unload_and_optionally_merge(self, *args: Any, **kwargs: Any) -> Any:
        base = super()._unload_and_optionally_merge(*args, **kwargs)
        for each in self._hooks:
            each.remove()
        return base


def _look(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Before a step: finds out which layers may keep their output for the backward pass."""
    if not torch.is_grad_enabled():
        return
    layers = _layers(model)
    if model.training and (undecided := [each for each in layers if each.undecided]):
        _look_at_outputs(model, undecided, args, kwargs)
    _look_at_scales(layers)


def _forget(model: nn.Module, *_: Any) -> None:
    """After it: a layer that is called by itself, or once more in the backward pass, looks at its own scale."""
    for layer in _layers(model):
        layer.divisible = {}


def _layers(model: nn.Module) -> list[SsfLayer]:
    return [each for each in model.modules() if isinstance(each, SsfLayer)]


def _look_at_scales(layers: Sequence[SsfLayer]) -> None:
    """Tells layers whether their scales can be divided by, with one wait for the device.

    Before every step, since an optimizer need not raise the version counters of what it changes; those of bitsandbytes
    do not.
    """
    scales = [(layer, name, each.detach()) for layer in layers for name, each in layer.kept_scales().items()]
    if scales:
        device = scales[0][2].device
        smallest = torch.stack([_smallest(each).to(device) for _, _, each in scales])
        if meshes := [each.device_mesh for _, _, each in scales if isinstance(each, DTensor)]:  # a part is here
            torch.distributed.all_reduce(smallest, torch.distributed.ReduceOp.MIN, meshes[0].get_group())
        for (layer, name, _), value in zip(scales, smallest.tolist(), strict=True):
            layer.divisible[name] = value > SAFE


def _smallest(scale: Tensor) -> Tensor:
    """The smallest size of an entry that is here: a process may have no row of a sharded scale."""
    here = scale.to_local() if isinstance(scale, DTensor) else scale
    return here.abs().min().float() if here.numel() else torch.full((), torch.inf, device=here.device)


def _look_at_outputs(
    model: nn.Module, layers: Sequence[SsfLayer], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Decides which layers may keep their output, before the first step.

    They may where nothing changes it in place. A model does not tell which operations follow a layer, so a forward pass
    is made and thrown away: the version counters of the outputs show what was changed. Random numbers and running
    statistics stay as they were.
    """
    devices = sorted({each.device for each in model.parameters() if each.device.type == "cuda"}, key=str)
    with torch.no_grad(), torch.random.fork_rng(devices), _statistics_kept(model):
        for layer in layers:
            layer.seen = []
        try:
            result = model.forward(*args, **kwargs)
            # What is returned may be changed by whoever called.
            given = {_place(each) for each in tree_leaves(result) if isinstance(each, Tensor)}
            for layer in layers:
                seen = layer.seen or []
                safe = all(each._version == version and _place(each) not in given for each, version in seen)
                layer.decide(keep_output=bool(seen) and safe)
        finally:
            for layer in layers:
                layer.seen = None  # activations, which would stay in memory


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


@contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    """Puts the running statistics of batch normalisation back afterwards."""
    held = [each for module in model.modules() if isinstance(module, _BatchNorm) for each in module.buffers()]
    before = [each.clone() for each in held]
    try:
        yield
    finally:
        for each, value in zip(held, before, strict=True):
            each.copy_(value)
