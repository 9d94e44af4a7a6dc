"""Activations that are recomputed in the backward pass, for less memory: gradient checkpointing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from adapt_core.engines.common.buffers import buffers_kept


@contextmanager
def recomputed(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Within it, blocks keep their inputs alone in a forward pass, and compute again what their gradients take.

    MMEngine's ``turn_on_activation_checkpointing`` and the libraries' ``with_cp`` take torch's reentrant form, which
    gives no gradient where a block's input needs none, as before an adapter; and they have batch normalisation count
    every batch twice. This has neither.
    """
    for block in blocks:
        block.forward = partial(_recomputing, block, block.forward)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def _recomputing(block: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, context_fn=partial(_contexts, block), **kwargs)


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What the first pass through a block runs in, and the second: the first has moved running statistics already."""
    return nullcontext(), buffers_kept(block)
