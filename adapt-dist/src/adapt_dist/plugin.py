"""What adapt-dist offers."""

from __future__ import annotations

from collections.abc import Iterable

from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import LauncherSpec


@hookimpl
def adapt_launchers() -> Iterable[LauncherSpec]:
    """The launchers on torch.distributed."""
    yield LauncherSpec(
        name="ddp",
        summary="Several processes, each with the whole model and a share of every batch (DistributedDataParallel).",
        target="adapt_dist.launcher:Ddp",
        options="adapt_dist.options:DdpOptions",
        switch="DDP",
        check="adapt_dist.checks:agreement",
        parallel="replicated",
    )
    yield LauncherSpec(
        name="fsdp",
        summary="Several processes, each with a shard of the model and a share of every batch (FSDP2).",
        target="adapt_dist.launcher:Fsdp",
        options="adapt_dist.fsdp_options:FsdpOptions",
        switch="FSDP",
        check="adapt_dist.checks:agreement",
        parallel="sharded",
    )
