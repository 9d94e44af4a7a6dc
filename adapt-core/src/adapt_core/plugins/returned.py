"""Checks what the calls of plugins return, where the next line would otherwise fail with a puzzling error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapt_core.errors import AdaptError

if TYPE_CHECKING:
    from torch import nn

    from adapt_core.bundles import Hints


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
    raise AdaptError(
        f"{_class(plugin)}.{call} returned {type(found).__name__}, and not the model",
        "This is a mistake in the plugin: have it return the torch.nn.Module.",
    )


def require_fresh_trained(method: object, adapted: nn.Module, hints: Hints) -> None:
    """Raises AdaptError where ``apply`` has left a newly initialised part of a model as it is.

    Args:
        method: whose ``apply`` it was.
        adapted: what that returned.
        hints: of the model.
    """
    own = [(f".{name}", each.requires_grad) for name, each in adapted.named_parameters()]
    for fresh in hints.fresh:
        trains = [trained for name, trained in own if f".{fresh}." in name]
        if trains and not any(trains):
            raise AdaptError(
                f"{_class(method)}.apply leaves {fresh} untrained, which is newly initialised",
                "This is a mistake in the plugin: have the parameters of hints.fresh require gradients.",
            )


def _class(plugin: object) -> str:
    return f"{type(plugin).__module__}.{type(plugin).__qualname__}"
