"""The gradients of an optimizer step: of the batches that are accumulated, in one process or in several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dist import all_reduce_params
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from adapt_core.engines.common.failures import failed_in_method, nothing_used
from adapt_core.engines.common.inputs import Inputs
from adapt_core.engines.common.measuring import rows_in
from adapt_core.engines.common.rows import NOT_COUNTED
from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_vision.engines.mmengine.inputs import RunnerInputs


@dataclass(frozen=True)
class Part:
    """What a batch of this process is of its step.

    Attributes:
        weight: what its loss is multiplied by, so that the mean over processes is the loss of the step.
        share: how much of the batch of all processes it is, 0 to 1; 0 for a stand-in.
    """

    weight: float = 1.0
    share: float = 1.0


class Stepped(nn.Module):
    """A module as MMEngine's Runner trains it: with a ``train_step``.

    Args:
        module: the model.
        inputs: the task's.
        method_name: what the configuration calls the method.
        world: the processes.
    """

    def __init__(self, module: nn.Module, inputs: RunnerInputs, method_name: str, world: World) -> None:
        super().__init__()
        self.module = module
        self.inputs = inputs
        self.method_name = method_name
        self.world = world

    def forward(self, batch: Mapping[str, Any], part: Part) -> Tensor:
        """The loss of a batch, times its weight in the step."""
        shared = self.inputs.shared
        with shared(part.share) if shared is not None and self.world.size > 1 else nullcontext():
            return self._loss(batch) * part.weight

    def train_step(self, data: Sequence[Mapping[str, Any]], optim_wrapper: Any) -> dict[str, Tensor]:
        """Adds up the gradients of the batches of a step.

        Args:
            data: the batches of this process.
            optim_wrapper: MMEngine's, which knows the precision.

        Returns:
            ``loss``, whose mean over the processes is the step's: the mean over all that the losses are means of.
        """
        return {"loss": summed(self, self, data, optim_wrapper)}

    def parts(self, batches: Sequence[Mapping[str, Any]]) -> list[Part]:
        """What each batch of a step is of it; all processes call this."""
        own = [0 if NOT_COUNTED in batch else self._items(batch) for batch in batches]
        of_all = [sum(counts) for counts in zip(*self.world.gather(own), strict=True)]
        total = max(sum(of_all), 1)
        # Processes average their gradients, so each counts its loss as often as there are processes.
        weights = [float(count > 0) if self.inputs.summed else count / total for count in own]
        return [
            Part(weight * self.world.size, count / max(of, 1))
            for weight, count, of in zip(weights, own, of_all, strict=True)
        ]

    def _items(self, batch: Mapping[str, Any]) -> int:
        return self.inputs.items(batch) if self.inputs.items is not None else rows_in(batch)

    def _loss(self, batch: Mapping[str, Any]) -> Tensor:
        try:
            outputs = outputs_of(self.inputs, self.module, batch)
        except (torch.OutOfMemoryError, AdaptError):
            raise
        # Broad: a layer of any library may raise anything. It goes on, as it came or with the layer's name.
        except Exception as error:
            failure = failed_in_method(error, self.module, self.method_name)
            if failure is None:
                raise
            raise failure from error
        loss: Tensor = outputs["loss"]
        if not loss.requires_grad:
            raise nothing_used(self.method_name, "has a gradient")
        return loss


class Replicated(DistributedDataParallel):
    """The same in one of several processes: after the last batch of a step, gradients are averaged.

    Args:
        stepped: the model on this process's device.
        find_unused: whether a step may leave trained parameters unused.
    """

    module: Stepped

    def __init__(self, stepped: Stepped, *, find_unused: bool) -> None:
        # Running statistics are averaged when the model is measured or saved, not taken from one process at each step.
        super().__init__(stepped, broadcast_buffers=False, find_unused_parameters=find_unused)

    def train_step(self, data: Sequence[Mapping[str, Any]], optim_wrapper: Any) -> dict[str, Tensor]:
        """See :meth:`Stepped.train_step`."""
        return {"loss": summed(self, self.module, data, optim_wrapper)}


def summed(model: nn.Module, stepped: Stepped, data: Sequence[Mapping[str, Any]], optim_wrapper: Any) -> Tensor:
    """The weighted losses of the batches of a step, added up, after their backward passes.

    Args:
        model: what is called: ``stepped``, or what has wrapped it.
        stepped: the model.
        data: the batches of this process.
        optim_wrapper: MMEngine's.
    """
    device = next(stepped.module.parameters()).device
    total = torch.zeros((), device=device)
    for place, (batch, part) in enumerate(zip(data, stepped.parts(data), strict=True), start=1):
        with _apart(model, apart=place < len(data)):
            with optim_wrapper.optim_context(stepped.module):
                loss = model(moved(batch, device), part)
            optim_wrapper.backward(loss)
        total += loss.detach().float()
    return total


@contextmanager
def _apart(model: nn.Module, *, apart: bool) -> Iterator[None]:
    """Within it, gradients stay in this process, where that is asked for and there are several."""
    with model.no_sync() if apart and isinstance(model, DistributedDataParallel) else nullcontext():
        yield


def outputs_of(inputs: Inputs, module: nn.Module, batch: Mapping[str, Any]) -> Mapping[str, Any]:
    """The outputs of a batch, ``loss`` among them."""
    outputs: Mapping[str, Any] = inputs.step(module, batch) if inputs.step is not None else module(**batch)
    return outputs


def moved(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """A batch with its tensors on a device, as a model reads it."""
    return {
        name: each.to(device, non_blocking=True) if isinstance(each, Tensor) else each
        for name, each in batch.items()
        if name != NOT_COUNTED
    }


def average_statistics(module: nn.Module, world: World) -> None:
    """Gives every process the mean over all of the running statistics of batch normalisation, in place.

    Each has moved its own by its own rows. The mean is what MMEngine's ``SyncBuffersHook`` makes of them.
    """
    if world.size == 1:
        return
    layers = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    statistics = [each for layer in layers for each in (layer.running_mean, layer.running_var) if each is not None]
    if statistics:
        all_reduce_params(statistics, op="mean")
