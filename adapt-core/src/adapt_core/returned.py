"""Holds plugins to what their calls must return, where the next line would fail with something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapt_core.errors import AdaptError

if TYPE_CHECKING:
    from torch import nn


def module_from(plugin: object, call: str, found: object) -> nn.Module:
    """What a call of a plugin returned.

    Args:
        plugin: the method or quantizer.
        call: the name of the call.
        found: what came back.

    Raises:
        AdaptError: that is no module; it names the plugin's class.
    """
    from torch import nn

    if isinstance(found, nn.Module):
        return found
    kind = type(plugin)
    raise AdaptError(
        f"{kind.__module__}.{kind.__qualname__}.{call} returned {type(found).__name__}, and not the model",
        "This is a mistake in the plugin: have it return the torch.nn.Module.",
    )
