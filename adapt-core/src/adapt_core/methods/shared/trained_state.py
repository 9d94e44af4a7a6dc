"""Checkpoints of tuners whose own file does not continue a training."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from torch import Tensor, nn

from adapt_core.models.architecture import WHOLE


def write_trained(
    module: nn.Module, file: Path, frozen: Collection[str] = (), further: Mapping[str, Tensor] | None = None
) -> None:
    """Writes all that is trained, the statistics of modules that are trained whole included.

    Args:
        module: the adapted module.
        file: where to.
        frozen: the names of parameters that belong to it although they require no gradient.
        further: tensors of other kinds; their names must be none of the module's.
    """
    from safetensors.torch import save_file

    parameters = {name: each for name, each in module.named_parameters() if each.requires_grad or name in frozen}
    tensors = {**parameters, **_statistics(module), **(further or {})}
    save_file({name: each.detach().cpu().clone().contiguous() for name, each in tensors.items()}, file)


def read_trained(module: nn.Module, file: Path) -> dict[str, Tensor]:
    """Reads what :func:`write_trained` wrote into a module, and returns the further tensors."""
    from safetensors.torch import load_file

    own: dict[str, Tensor] = {**dict(module.named_parameters()), **_statistics(module)}
    further: dict[str, Tensor] = {}
    for name, each in load_file(file).items():
        if name in own:
            own[name].data.copy_(each)
        else:
            further[name] = each
    return further


def _statistics(module: nn.Module) -> dict[str, Tensor]:
    return {name: each for name, each in module.named_buffers() if WHOLE in name}
