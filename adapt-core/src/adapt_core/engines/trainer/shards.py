"""Checkpoints of a sharded model: each process writes its part, and any number of processes goes on from them.

``shards-R-of-N.safetensors`` holds the part of process R: ``model/NAME`` and ``optimizer/NUMBER/NAME``, with the row at
which each begins. ``shards.json`` holds what is no tensor. Nothing in it is a pickle, which torch's distributed
checkpoints need to be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Shard
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from adapt_core.engines.trainer.sharding import reshard
from adapt_core.interfaces import World
from adapt_core.utils.files import read_json, write_json

INDEX = "shards.json"


def are_shards(folder: str | Path) -> bool:
    """Whether a checkpoint was written as shards."""
    return Path(folder, INDEX).is_file()


def write_shards(module: nn.Module, optimizer: Any, folder: Path, world: World, *, trained_only: bool) -> None:
    """Writes this process's part of a checkpoint; every process calls it.

    Args:
        module: sharded.
        optimizer: of its parameters.
        folder: of the checkpoint.
        world: the processes.
        trained_only: leave frozen parameters out: they are the base's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reshard(module)
    parts: dict[str, Tensor] = {}
    starts: dict[str, int] = {}
    for key, value in _tensors(module, optimizer.state_dict()["state"], trained_only=trained_only):
        local, start = _part(value)
        if local.numel() and (isinstance(value, DTensor) or world.is_main):
            parts[key], starts[key] = local.cpu().contiguous(), start
    name = f"shards-{world.rank}-of-{world.size}.safetensors"
    save_file(parts, folder / name, metadata={"starts": json.dumps(starts)})
    if world.is_main:
        groups = optimizer.state_dict()["param_groups"]
        write_json(folder / INDEX, {"processes": world.size, "param_groups": groups})


def read_model(folder: Path) -> dict[str, Tensor]:
    """The whole values of parameters and buffers, by name."""
    return {key.removeprefix("model/"): value for key, value in _read(folder, "model/").items()}


def read_optimizer(folder: Path) -> dict[str, Any]:
    """The whole state of the optimizer, as one process has it: its ``load_state_dict`` takes it."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _read(folder, "optimizer/").items():
        _, number, name = key.split("/", 2)
        state.setdefault(int(number), {})[name] = value
    groups = [
        {name: tuple(value) if name == "betas" else value for name, value in group.items()}
        for group in read_json(folder / INDEX)["param_groups"]
    ]
    return {"state": dict(sorted(state.items())), "param_groups": groups}


def _tensors(
    module: nn.Module, state: Mapping[int, Mapping[str, Any]], *, trained_only: bool
) -> Iterator[tuple[str, Tensor]]:
    for name, each in module.named_parameters():
        if each.requires_grad or not trained_only:
            yield f"model/{name}", each.detach()
    for name, buffer in module.named_buffers():
        yield f"model/{name}", buffer
    for number, values in state.items():
        for name, value in values.items():
            yield f"optimizer/{number}/{name}", value if isinstance(value, Tensor) else torch.tensor(value)


def _part(value: Tensor) -> tuple[Tensor, int]:
    """This process's rows of a tensor, and the number of the first."""
    if not isinstance(value, DTensor):
        return value, 0
    assert all(isinstance(each, Shard) and each.dim == 0 for each in value.placements)
    _, offset = compute_local_shape_and_global_offset(value.shape, value.device_mesh, value.placements)
    return value.to_local(), offset[0]


def _read(folder: Path, prefix: str) -> dict[str, Tensor]:
    parts: dict[str, list[tuple[int, Tensor]]] = {}
    for path in _files(folder):
        with safe_open(path, framework="pt") as file:
            starts = json.loads(file.metadata()["starts"])
            for key in file.keys():  # noqa: SIM118  # no mapping
                if key.startswith(prefix):
                    parts.setdefault(key, []).append((starts[key], file.get_tensor(key)))
    return {key: _joined(each) for key, each in parts.items()}


def _joined(parts: list[tuple[int, Tensor]]) -> Tensor:
    ordered = [value for _, value in sorted(parts, key=lambda part: part[0])]
    return torch.cat(ordered) if len(ordered) > 1 else ordered[0]


def _files(folder: Path) -> Iterable[Path]:
    count = int(read_json(folder / INDEX)["processes"])
    return [folder / f"shards-{rank}-of-{count}.safetensors" for rank in range(count)]
