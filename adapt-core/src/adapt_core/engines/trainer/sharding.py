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

WRAPS = {"layers": "TRANSFORMER_BASED_WRAP", "size": "TRANSFORMER_BASED_WRAP", "none": "NO_WRAP"}
"""accelerate's own SIZE_BASED_WRAP would shard lists of layers, which torch refuses."""

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
    """The classes of the layers that are sharded one by one; there may be none that have the size asked for.

    Args:
        module: the model.
        hints: of it.
        sharding: of the world.

    Raises:
        AdaptError: a class that is named is not in the model or holds its embeddings, or nothing tells which its
            repeated layers are.
    """
    if sharding["wrap"] == "size":
        return _parts_above(module, sharding["min_parameters"])
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


def _parts_above(module: nn.Module, size: int) -> list[str]:
    """The classes whose parts all have more parameters than that, and none that belongs to the embeddings."""
    apart = {id(each) for name in ENDS if (end := _end(module, name)) is not None for each in end.parameters()}
    # torch's attention reads the weights of its parts, and never calls them.
    attentions = [each for each in module.modules() if isinstance(each, nn.MultiheadAttention)]
    unused = {part for each in attentions for part in each.children()}
    smallest: dict[str, int] = {}
    for each in module.modules():
        own = list(each.parameters())
        called = type(each).forward is not nn.Module.forward and each not in unused
        by_itself = called and apart.isdisjoint(map(id, own))
        count = sum(parameter.numel() for parameter in own) if by_itself else 0
        name = type(each).__name__
        smallest[name] = min(count, smallest.get(name, count))
    return sorted(name for name, count in smallest.items() if count > size)


def _around_embeddings(module: nn.Module) -> set[str]:
    """The classes of modules that hold the model's embeddings, or the layer after which these are named.

    accelerate shards the embeddings by themselves, and fails where a module around them is sharded, too.
    """
    found = set()
    embeddings = [each for name in ENDS if (each := _end(module, name)) is not None]
    for each in module.modules():
        if any(each is not inner and inner in embeddings for inner in each.modules()):
            found.add(type(each).__name__)
    return found


@contextmanager
def shared_embeddings_in_root(module: nn.Module) -> Iterator[None]:
    """Has accelerate leave embeddings that more than two layers share with what is gathered for the whole of a step.

    accelerate 1.15 takes the embeddings of the input and of the output out of the model and shards them together. What
    an encoder and a decoder have of them besides (BART, T5) would stay behind as a weight of its own. Nor does it ask
    for those that a model has not.
    """
    ends = {name: _end(module, name) for name in ENDS}
    weight = _weight(ends[ENDS[0]])
    shared = {each for each in module.modules() if weight is not None and _weight(each) is weight}
    left = [name for name, end in ends.items() if end is None or shared - set(ends.values())]
    for name in left:
        setattr(module, name, lambda: None)
    try:
        yield
    finally:
        for name in left:
            delattr(module, name)


def _end(module: nn.Module, name: str) -> nn.Module | None:
    """The layer at one end of a model; None where there is none, which some models of transformers say by an error."""
    try:
        found: nn.Module | None = getattr(module, name, lambda: None)()
    except NotImplementedError:
        return None
    return found


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
        # A copy: where shards are padded to one length it is a part of more memory, which safetensors refuses to save.
        return value.full_tensor().to("cpu", copy=True)
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


def require_sharded(module: nn.Module) -> None:
    """Makes sure that a model is sharded: accelerate leaves it whole, without a word, where it sees no reason to.

    Raises:
        AdaptError: a process has the whole of a parameter.
    """
    each = dict(module.named_parameters())
    whole = [name for name, value in each.items() if not isinstance(value, DTensor)]
    if whole:
        raise AdaptError(
            f"{type(module).__name__} was to be sharded over the processes, and {len(whole)} of its {len(each)} "
            f"parameters are whole in each, {whole[0]} among them",
            "Choose launch.name: ddp. Please report this with the versions of accelerate and torch.",
        )


def synchronised_generation(module: nn.Module) -> None:
    """Has transformers' ``generate`` go on in every process until all have come to their end.

    Each step gathers the layers' parameters from all. transformers does so by itself only where it has sharded the
    model.
    """
    for each in module.modules():
        if hasattr(each, "generate"):
            each._is_fsdp_managed_module = True  # type: ignore[assignment]
