"""Options of FSDP, under accelerate's names: each is mapped to its meaning in FSDP2, or refused with the reason.

Imports nothing heavy: it is loaded to check a configuration.
"""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from adapt_core.options import option
from adapt_dist.accelerate_file import ONE_MEANING, only
from adapt_dist.options import LaunchOptions, one_of

WRAPS = {"TRANSFORMER_BASED_WRAP": "layers", "SIZE_BASED_WRAP": "size", "NO_WRAP": "none"}
RESHARDS = {"FULL_SHARD": True, "SHARD_GRAD_OP": False}
CHECKPOINTS = {"SHARDED_STATE_DICT": "sharded", "FULL_STATE_DICT": "full"}

REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "backward_prefetch_policy": (
        ("BACKWARD_PRE",),
        "FSDP2 always fetches the next layer's parameters before it computes gradients, which is BACKWARD_PRE",
    ),
    "forward_prefetch": (
        (False,),
        "FSDP2 overlaps fetching and computing in the forward pass by itself; remove the key",
    ),
    "sync_module_states": (
        (True,),
        "every process begins with the main one's weights, always; remove the key",
    ),
    "use_orig_params": ((True,), "FSDP2 keeps the model's own parameters, always; remove the key"),
}
"""The values that options of FSDP may have which have one meaning only, and why they may have no other."""

TABLE_ROWS = (
    "compute_environment",
    "downcast_bf16",
    "machine_rank",
    "main_training_function",
    "same_network",
    "tpu_env",
    "tpu_use_cluster",
    "tpu_use_sudo",
)
"""accelerate's keys that are options of FSDP, though they can say one thing only."""

ELSEWHERE = {
    "HYBRID_SHARD": "it shards within machines and copies between them, which accelerate's FSDP2 does not do; "
    "write FULL_SHARD",
    "HYBRID_SHARD_ZERO2": "it shards within machines and copies between them, which accelerate's FSDP2 does not do; "
    "write SHARD_GRAD_OP",
    "NO_SHARD": "every process would have the whole model, which is DDP; write launch.name: ddp",
    "LOCAL_STATE_DICT": "FSDP2 has no such form; write SHARDED_STATE_DICT, in which each process writes its part",
}


class FsdpOptions(LaunchOptions):
    """Options of FSDP."""

    launcher = "fsdp"

    auto_wrap_policy: str = option(
        "TRANSFORMER_BASED_WRAP",
        flat="fsdp_auto_wrap_policy",
        examples=[*WRAPS],
        help="What is gathered at a time: TRANSFORMER_BASED_WRAP, each of the model's repeated layers; "
        "SIZE_BASED_WRAP, each layer of a class that has more than min_num_params parameters throughout; NO_WRAP, the "
        "model as a whole.",
    )
    transformer_layer_cls_to_wrap: list[str] = option(
        [],
        flat="fsdp_transformer_layer_cls_to_wrap",
        help="Classes of the layers for TRANSFORMER_BASED_WRAP; by default those that the model's library names.",
    )
    min_num_params: int = option(
        100_000_000, flat="fsdp_min_num_params", gt=0, help="Parameters of a part for SIZE_BASED_WRAP."
    )
    sharding_strategy: str = option(
        "FULL_SHARD",
        flat="fsdp_sharding_strategy",
        examples=[*RESHARDS],
        help="FULL_SHARD frees gathered parameters after the forward pass and gathers them again for the backward "
        "pass; SHARD_GRAD_OP keeps them: faster, and more memory.",
    )
    offload_params: bool = option(
        False,
        flat="fsdp_offload_params",
        help="Keep parameters, gradients and the optimizer's state in main memory between their uses on the GPU.",
    )
    state_dict_type: str = option(
        "SHARDED_STATE_DICT",
        flat="fsdp_state_dict_type",
        examples=[*CHECKPOINTS],
        help="Form of checkpoints: SHARDED_STATE_DICT, each process writes its part; FULL_STATE_DICT, the main process "
        "writes all. Any number of processes goes on from either; model/ and export/ are always whole.",
    )
    cpu_ram_efficient_loading: bool = option(
        True,
        flat="fsdp_cpu_ram_efficient_loading",
        help="The main process alone reads the weights of a base of transformers, and the others get theirs from it.",
    )
    activation_checkpointing: bool = option(
        False,
        flat="fsdp_activation_checkpointing",
        help="Where true, training.gradient_checkpointing must be so too, which is the same.",
    )
    distributed_type: str = option("FSDP", flat="distributed_type", help="FSDP, which this launcher is.")
    backward_prefetch_policy: str = option(
        "BACKWARD_PRE",
        flat=("fsdp_backward_prefetch_policy", "fsdp_backward_prefetch"),
        help="BACKWARD_PRE, as FSDP2 always does.",
    )
    forward_prefetch: bool = option(False, flat="fsdp_forward_prefetch", help="False: FSDP2 decides by itself.")
    sync_module_states: bool = option(True, flat="fsdp_sync_module_states", help="True, as it always is.")
    use_orig_params: bool = option(True, flat="fsdp_use_orig_params", help="True, as it always is in FSDP2.")
    compute_environment: str = option("LOCAL_MACHINE", flat="compute_environment", help="LOCAL_MACHINE.")
    downcast_bf16: str = option("no", flat="downcast_bf16", help="no: it is for TPUs.")
    machine_rank: int = option(0, flat="machine_rank", help="0: torchrun tells each machine its own.")
    main_training_function: str = option("main", flat="main_training_function", help="main.")
    same_network: bool = option(True, flat="same_network", help="True: all machines reach one another.")
    tpu_env: list[str] = option([], flat="tpu_env", help="Empty: there are no TPUs.")
    tpu_use_cluster: bool = option(False, flat="tpu_use_cluster", help="False: there are no TPUs.")
    tpu_use_sudo: bool = option(False, flat="tpu_use_sudo", help="False: there are no TPUs.")

    @field_validator("transformer_layer_cls_to_wrap", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        """accelerate's files have the names in one text, with commas."""
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("auto_wrap_policy", "sharding_strategy", "state_dict_type")
    @classmethod
    def _known(cls, value: str, info: Any) -> str:
        words = {
            "auto_wrap_policy": tuple(WRAPS),
            "sharding_strategy": tuple(RESHARDS),
            "state_dict_type": tuple(CHECKPOINTS),
        }
        return _one_of(value.upper(), words[info.field_name])

    @field_validator(*REFUSED, *TABLE_ROWS)
    @classmethod
    def _one_meaning(cls, value: Any, info: Any) -> Any:
        allowed, reason = (REFUSED | ONE_MEANING)[info.field_name]
        if value in allowed or (isinstance(value, str) and value.upper() in allowed):
            return value
        raise ValueError(only(allowed, reason))


def _one_of(value: str, words: tuple[str, ...]) -> str:
    if value in ELSEWHERE:
        raise ValueError(ELSEWHERE[value])
    return one_of(value, words)
