"""Facts about models that are sharded over several processes."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule


def called_by_any(module: nn.Module, calls: bool) -> bool:
    """Whether this process must call a model now, as it wants to or since another does.

    A call of a sharded model gathers its layers from all processes, so all must make it. Every process asks at the same
    time. Where each process has the whole model, it goes by itself.

    Args:
        module: the model.
        calls: whether this process wants to call it.
    """
    if not any(isinstance(each, FSDPModule) for each in module.modules()):
        return calls
    number = torch.tensor(int(calls), dtype=torch.int32)
    torch.distributed.all_reduce(number, torch.distributed.ReduceOp.MAX)
    return bool(number)
