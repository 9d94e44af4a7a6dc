"""Every row of accelerate's table of FSDP means what it means in FSDP2, or is refused with what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from adapt_core.config.validate import validate_options
from adapt_core.errors import ConfigError
from adapt_core.options import flat_names
from adapt_dist.fsdp_options import FsdpOptions
from adapt_dist.launcher import Fsdp

TABLE: dict[str, Any] = {
    "compute_environment": "LOCAL_MACHINE",
    "debug": False,
    "distributed_type": "FSDP",
    "downcast_bf16": "no",
    "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "fsdp_backward_prefetch_policy": "BACKWARD_PRE",
    "fsdp_forward_prefetch": False,
    "fsdp_cpu_ram_efficient_loading": True,
    "fsdp_offload_params": False,
    "fsdp_sharding_strategy": "FULL_SHARD",
    "fsdp_state_dict_type": "SHARDED_STATE_DICT",
    "fsdp_sync_module_states": True,
    "fsdp_use_orig_params": True,
    "machine_rank": 0,
    "main_training_function": "main",
    "mixed_precision": "bf16",
    "num_machines": 1,
    "num_processes": 2,
    "rdzv_backend": "static",
    "same_network": True,
    "tpu_env": [],
    "tpu_use_cluster": False,
    "tpu_use_sudo": False,
    "use_cpu": False,
}
"""The rows of the table of parameters, with its defaults."""

FIELDS = {flat: name for name, info in FsdpOptions.model_fields.items() for flat in flat_names(info)}


def options(**flat: Any) -> FsdpOptions:
    made = validate_options(FsdpOptions, {FIELDS[name]: value for name, value in flat.items()}, "launch")
    assert isinstance(made, FsdpOptions)
    return made


def test_every_row_has_an_option_and_the_table_s_own_values_are_accepted() -> None:
    assert not set(TABLE) - set(FIELDS)
    made = options(**TABLE)
    defaults = FsdpOptions()
    chosen = {"mixed_precision", "num_processes"}  # none by default: training.bf16 and the GPUs say it
    for flat in set(TABLE) - chosen:
        assert getattr(defaults, FIELDS[flat]) == getattr(made, FIELDS[flat]), flat


@pytest.mark.parametrize(
    ("flat", "value", "key", "meaning"),
    [
        ("fsdp_sharding_strategy", "FULL_SHARD", "reshard", True),
        ("fsdp_sharding_strategy", "shard_grad_op", "reshard", False),
        ("fsdp_auto_wrap_policy", "SIZE_BASED_WRAP", "wrap", "size"),
        ("fsdp_auto_wrap_policy", "NO_WRAP", "wrap", "none"),
        ("fsdp_transformer_layer_cls_to_wrap", "BertLayer, BertMLP", "layers", ("BertLayer", "BertMLP")),
        ("fsdp_min_num_params", 1000, "min_parameters", 1000),
        ("fsdp_offload_params", True, "offload", True),
        ("fsdp_state_dict_type", "FULL_STATE_DICT", "checkpoints", "full"),
        ("fsdp_cpu_ram_efficient_loading", False, "one_reads", False),
    ],
)  # fmt: skip
def test_it_is_translated(flat: str, value: Any, key: str, meaning: Any) -> None:
    assert Fsdp(options(**{flat: value})).settings()["sharding"][key] == meaning


@pytest.mark.parametrize(
    ("flat", "value", "reason"),
    [
        ("fsdp_sharding_strategy", "HYBRID_SHARD", "write FULL_SHARD"),
        ("fsdp_sharding_strategy", "NO_SHARD", "write launch.name: ddp"),
        ("fsdp_sharding_strategy", "SOME", "expected FULL_SHARD or SHARD_GRAD_OP"),
        ("fsdp_state_dict_type", "LOCAL_STATE_DICT", "write SHARDED_STATE_DICT"),
        ("fsdp_backward_prefetch_policy", "BACKWARD_POST", "FSDP2 always fetches"),
        ("fsdp_forward_prefetch", True, "remove the key"),
        ("fsdp_sync_module_states", False, "always; remove the key"),
        ("fsdp_use_orig_params", False, "remove the key"),
        ("compute_environment", "AMAZON_SAGEMAKER", "adapt launch-command"),
        ("distributed_type", "MULTI_GPU", "write launch.name: ddp"),
        ("distributed_type", "DEEPSPEED", "this launcher is FSDP"),
        ("downcast_bf16", "yes", "set training.bf16"),
        ("machine_rank", 1, "adapt launch-command"),
        ("main_training_function", "train", "remove the key"),
        ("mixed_precision", "fp8", "expected no or bf16 or fp16"),
        ("rdzv_backend", "etcd", "expected static or c10d"),
        ("same_network", False, "must reach the address"),
        ("tpu_env", ["A=1"], "does not run on TPUs"),
        ("tpu_use_cluster", True, "does not run on TPUs"),
        ("tpu_use_sudo", True, "does not run on TPUs"),
    ],
)
def test_what_fsdp2_has_no_equal_for_is_refused_with_what_to_write(flat: str, value: Any, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        options(**{flat: value})
    assert reason in str(raised.value)


def test_a_bare_no_of_yaml_is_the_word() -> None:
    made = options(downcast_bf16=False, mixed_precision=False)
    assert (made.downcast_bf16, made.mixed_precision) == ("no", "no")
