"""What a module is called with, for a layer that is called after it."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from torch import Tensor, nn


class Tap:
    """Keeps the first argument of a module's latest call until it is taken.

    A feed-forward's input is not at hand where its output is computed, and may belong to no module of its own (BERT's
    feed-forward is two modules of a block), so it cannot be had by wrapping one module. Gradient checkpointing calls a
    whole block again, and so refills its taps.

    Args:
        module: which is called.
    """

    def __init__(self, module: nn.Module) -> None:
        self.kind = type(module).__name__
        self._argument = next(iter(signature(module.forward).parameters))
        self._value: Tensor | None = None
        self._handle = module.register_forward_pre_hook(self, with_kwargs=True)

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._value = args[0] if args else kwargs[self._argument]

    def take(self) -> Tensor:
        """The argument, which is not kept any longer. Raises RuntimeError where the module was not called before."""
        if self._value is None:
            raise RuntimeError(f"the bottleneck reads the input of a {self.kind} that was not called before it")
        value, self._value = self._value, None
        return value

    def remove(self) -> None:
        """Stops listening to the module."""
        self._handle.remove()
