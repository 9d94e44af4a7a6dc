"""Puts a method on a model, and holds it to what it must leave."""

from __future__ import annotations

from dataclasses import replace

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Method
from adapt_core.models.batch_norm import stay_in_evaluation
from adapt_core.models.precision import trained_in_half
from adapt_core.plugins.returned import module_from, require_fresh_trained


def applied(method: Method, module: nn.Module, hints: Hints, *, train_batch_norm: bool = False) -> nn.Module:
    """What the method makes of a model.

    Args:
        method: whose ``apply`` is called.
        module: the model.
        hints: of it.
        train_batch_norm: have the batch normalisation outside the head trained whole: scale, shift and statistics.

    Raises:
        AdaptError: the method refuses, the model has no batch normalisation outside its head, or the method holds it.
    """
    if not train_batch_norm:
        adapted = module_from(method, "apply", method.apply(module, hints))
        require_fresh_trained(method, adapted, hints)
        return adapted
    names = [name for name, layer in module.named_modules() if isinstance(layer, _BatchNorm) and not hints.holds(name)]
    if not names:
        raise AdaptError(
            f"method.train_batch_norm: {type(module).__name__} has no batch normalisation outside its head",
            "Remove the key.",
        )
    adapted = module_from(method, "apply", method.apply(module, replace(hints, fresh=(*hints.fresh, *names))))
    layers = [layer for layer in adapted.modules() if isinstance(layer, _BatchNorm) and not _held(layer)]
    trained = [layer for layer in layers if all(each.requires_grad for each in layer.parameters())]
    if len(trained) < len(names):
        raise AdaptError(
            f"method.train_batch_norm: {type(method).__name__} keeps batch normalisation as it is, since what it saves "
            "has no place for it",
            "Remove the key, or choose another method.",
        )
    require_fresh_trained(method, adapted, hints)
    return adapted


def _held(layer: nn.Module) -> bool:
    return stay_in_evaluation in layer._forward_pre_hooks.values()


def require_trained(module: nn.Module) -> None:
    """Raises AdaptError when a method has left nothing in a model trainable, or what would be trained in 16 bits."""
    if not any(each.requires_grad and each.numel() for each in module.parameters()):
        raise AdaptError("Nothing in the model would be trained.", "Choose another method, or other target modules.")
    for name, precision in trained_in_half(module).items():
        raise AdaptError(
            f"{name} would be trained in {precision}, in which small updates round away",
            "This is a mistake in the task's plugin: have its load_model load in float32 (dtype=torch.float32).",
        )
