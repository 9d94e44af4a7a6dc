"""A model that is sharded over the processes, by accelerate's FSDP2: what it needs, and how it becomes whole again."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import DistributedType, PartialState
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.interfaces import World

WRAPS = {"layers": "TRANSFORMER_BASED_WRAP", "size": "SIZE_BASED_WRAP", "none": "NO_WRAP"}

ENDS = ("get_input_embeddings", "get_output_embeddings")
"""How models of transformers are asked for the layers at their two ends."""


def fsdp_arguments(sharding: Mapping[str, Any]) -> dict[str, Any]:
    """The Trainer's arguments for FSDP2.

    Its ``state_dict_type`` and ``cpu_ram_efficient_loading`` are not used: Adapt writes checkpoints itself, and hands
    the weights of the main process to the others itself, buffers included.

    Args:
        sharding: :attr:`adapt_core.interfaces.World.sharding`.
    """
    return {
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "reshard_after_forward": sharding["reshard"],
            "cpu_offload": sharding["offload"],
            "auto_wrap_policy": WRAPS[sharding["wrap"]],
            "min_num_params": sharding["min_parameters"],
            "state_dict_type": "FULL_STATE_DICT",
            "cpu_ram_efficient_loading": False,
        },
    }


@contextmanager
def as_on_gpus() -> Iterator[None]:
    """Has accelerate shard models on the CPU too, for an ``Accelerator`` that is made inside the block.

    accelerate 1.15 leaves FSDP out for processes on the CPU, without a word, though all that it does works there.
    """
    state = PartialState._shared_state
    before = state["distributed_type"]
    if before == DistributedType.MULTI_CPU:
        state["distributed_type"] = DistributedType.MULTI_GPU
    yield


def layers_to_shard(module: nn.Module, hints: Hints, sharding: Mapping[str, Any]) -> list[str]:
    """The classes of the layers that are sharded one by one.

    Args:
        module: the model.
        hints: of it.
        sharding: of the world.

    Raises:
        AdaptError: a class that is named is not in the model or holds its embeddings, or nothing tells which its
            repeated layers are.
    """
    apart = _around_embeddings(module)
    there = {type(each).__name__ for each in module.modules()}
    if named := list(sharding["layers"]):
        if missing := sorted(set(named) - there):
            raise AdaptError(
                f"launch.transformer_layer_cls_to_wrap names {', '.join(missing)}, which {type(module).__name__} lacks",
                "Name classes of its layers, or remove the key.",
            )
        if held := sorted(set(named) & apart):
            raise AdaptError(
                f"launch.transformer_layer_cls_to_wrap names {', '.join(held)}, which holds the model's embeddings: "
                "they are sharded by themselves",
                "Name classes of its repeated layers, or remove the key.",
            )
        return named
    own = {name for each in module.modules() for name in getattr(each, "_no_split_modules", None) or ()}
    blocks = {type(each).__name__ for name, each in module.named_modules() if _base_name(name) in hints.blocks}
    found = sorted((own & there) - apart or blocks)
    if not found:
        raise AdaptError(
            f"Nothing tells which layers of {type(module).__name__} repeat, to be sharded one by one",
            "Name their classes in launch.transformer_layer_cls_to_wrap, or set launch.auto_wrap_policy to NO_WRAP.",
        )
    return found


def _around_embeddings(module: nn.Module) -> set[str]:
    """The classes of modules that hold the model's embeddings, or the layer after which these are named.

    accelerate shards the embeddings by themselves, and fails where a module around them is sharded, too.
    """
    found = set()
    getters = (getattr(module, name, lambda: None) for name in ENDS)
    embeddings = [each for getter in getters if (each := getter()) is not None]
    for each in module.modules():
        if any(each is not inner and inner in embeddings for inner in each.modules()):
            found.add(type(each).__name__)
    return found


@contextmanager
def shared_embeddings_in_root(module: nn.Module) -> Iterator[None]:
    """Has accelerate leave embeddings that more than two layers share with what is gathered for the whole of a step.

    accelerate 1.15 takes the embeddings of the input and of the output out of the model and shards them together. What
    an encoder and a decoder have of them besides (BART, T5) would stay behind as a weight of its own.
    """
    ends = [getattr(module, name, lambda: None)() for name in ENDS]
    shared = [each for each in module.modules() if _weight(each) is not None and _weight(each) is _weight(ends[0])]
    if not set(shared) - set(ends):
        yield
        return
    for name in ENDS:
        setattr(module, name, lambda: None)
    try:
        yield
    finally:
        for name in ENDS:
            delattr(module, name)


def _weight(layer: nn.Module | None) -> Any:
    return getattr(layer, "weight", None)


def _base_name(name: str) -> str:
    return name.removeprefix("base_model.model.")


def skeleton(module: nn.Module) -> nn.Module:
    """A copy of a model whose parameters have shapes and no values; ties stay ties, and buffers are copied."""
    empty = {
        id(each): nn.Parameter(torch.empty_like(each, device="meta"), requires_grad=each.requires_grad)
        for each in module.parameters()
    }
    return copy.deepcopy(module, empty)


def filled(module: nn.Module, values: Mapping[str, Tensor]) -> nn.Module:
    """Gives a skeleton its values, by the names of parameters and buffers; works in place. Some may be left out."""
    whole = {
        id(each): nn.Parameter(values[name], requires_grad=each.requires_grad)
        for name, each in module.named_parameters()
        if name in values
    }
    for layer in module.modules():
        for name, each in layer._parameters.items():
            if each is not None and id(each) in whole:
                layer._parameters[name] = whole[id(each)]
    with torch.no_grad():
        for name, buffer in module.named_buffers():
            if name in values:
                buffer.copy_(values[name])
    return module


def reshard(module: nn.Module) -> None:
    """Frees what an evaluation has put together: the parameters of a sharded model are their shards again."""
    for each in module.modules():
        if isinstance(each, FSDPModule):
            each.reshard()


def whole_values(module: nn.Module, world: World, *, trained_only: bool = False) -> dict[str, Tensor]:
    """The values of a sharded model's parameters and buffers by name, on the CPU of the main process.

    Every process calls it; the others get nothing.

    Args:
        module: the model.
        world: the processes.
        trained_only: leave frozen parameters out.
    """
    reshard(module)
    found = {}
    seen: dict[int, Any] = {}
    for name, each in module.named_parameters(remove_duplicate=False):  # any name of a tied one may be looked up
        if each.requires_grad or not trained_only:
            if id(each) not in seen:
                value = whole(each.detach())
                seen[id(each)] = value if world.is_main else None
            if world.is_main:
                found[name] = seen[id(each)]
    if world.is_main:
        found |= {name: each.detach().cpu().clone() for name, each in module.named_buffers()}
    return found


def whole(value: Any) -> Any:
    """A sharded tensor put together, on the CPU, in every process; anything else as it is."""
    if isinstance(value, DTensor):
        return value.full_tensor().cpu()
    return value.detach().cpu() if isinstance(value, Tensor) else value


def dealt(value: Tensor | None, like: Tensor) -> Tensor:
    """The main process's value in the form that a parameter has: sharded in the same way.

    Args:
        value: whole, in the main process; ignored in the others.
        like: the parameter.
    """
    if not isinstance(like, DTensor):
        given = torch.empty_like(like) if value is None else value.to(like.device).contiguous()
        torch.distributed.broadcast(given, src=0)
        return given
    device = like.device_mesh.device_type
    given = torch.empty(like.shape, dtype=like.dtype, device=device) if value is None else value.to(device, like.dtype)
    return distribute_tensor(given, like.device_mesh, like.placements)


def deal_values(module: nn.Module, values: Mapping[str, Tensor], world: World) -> None:
    """Gives a sharded model the main process's values, a tensor at a time; every process calls it.

    Args:
        module: the model.
        values: whole, by name, in the main process.
        world: the processes.
    """
    reshard(module)
    tensors: list[tuple[str, Tensor]] = [*module.named_parameters(), *module.named_buffers()]
    with torch.no_grad():
        for name, each in tensors:
            value = dealt(values[name].detach() if world.is_main else None, each)
            if isinstance(each, DTensor) and isinstance(value, DTensor):
                each.to_local().copy_(value.to_local())
            else:
                each.copy_(value)


def synchronised_generation(module: nn.Module) -> None:
    """Has transformers' ``generate`` go on in every process until all have come to their end.

    Each step gathers the layers' parameters from all. transformers does so by itself only where it has sharded the
    model.
    """
    for each in module.modules():
        if hasattr(each, "generate"):
            each._is_fsdp_managed_module = True  # type: ignore[assignment]
