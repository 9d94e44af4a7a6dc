"""What ``accelerate launch`` was told must be what the configuration says."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env

from adapt_core.errors import UsageError
from adapt_dist.accelerate_launch import settle_accelerate
from adapt_dist.fsdp_options import FsdpOptions
from adapt_dist.options import DdpOptions, LaunchOptions


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives this process the environment that accelerate gives those that it starts with these flags."""

    def by(*flags: str) -> None:
        given = ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no", "--main_process_port", "0"]
        arguments, *_ = _validate_launch_command(launch_command_parser().parse_args([*given, *flags, "script.py"]))
        made = prepare_multi_gpu_env(arguments)
        for name in made.keys() - os.environ.keys():
            monkeypatch.setenv(name, made[name])

    return by


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ([], DdpOptions()),
        (["--use_fsdp"], FsdpOptions()),
        # accelerate says its own defaults also where nobody has asked for them
        (["--use_fsdp"], FsdpOptions(sharding_strategy="SHARD_GRAD_OP", offload_params=True, min_num_params=5)),
        (["--use_fsdp", "--fsdp_sharding_strategy", "SHARD_GRAD_OP"], FsdpOptions(sharding_strategy="SHARD_GRAD_OP")),
        (["--use_fsdp", "--fsdp_version", "2", "--fsdp_reshard_after_forward", "false"],
         FsdpOptions(sharding_strategy="SHARD_GRAD_OP")),
        (["--use_fsdp", "--fsdp_transformer_layer_cls_to_wrap", "A, B"],
         FsdpOptions(transformer_layer_cls_to_wrap=["A", "B"])),
        (["--use_fsdp", "--fsdp_backward_prefetch", "BACKWARD_PRE"], FsdpOptions()),
        (["--debug"], DdpOptions(debug=True)),
    ],
)  # fmt: skip
def test_the_same_in_both_places_is_accepted(launched: Any, flags: list[str], options: LaunchOptions) -> None:
    launched(*flags)
    assert "ACCELERATE_MIXED_PRECISION" in os.environ
    settle_accelerate(options)
    assert not [name for name in os.environ if name.startswith(("FSDP_", "ACCELERATE_USE_", "ACCELERATE_DYNAMO_"))]


@pytest.mark.parametrize(
    ("flags", "options", "message", "hint"),
    [
        (["--use_fsdp"], DdpOptions(), "asks for FSDP, and launch.name is ddp", "launch.name=fsdp"),
        (["--use_fsdp", "--fsdp_sharding_strategy", "SHARD_GRAD_OP"], FsdpOptions(),
         "FSDP_SHARDING_STRATEGY=SHARD_GRAD_OP, and launch.sharding_strategy is FULL_SHARD",
         "Write launch.sharding_strategy=SHARD_GRAD_OP"),
        (["--use_fsdp", "--fsdp_version", "2", "--fsdp_reshard_after_forward", "false"], FsdpOptions(),
         "FSDP_RESHARD_AFTER_FORWARD=false, and launch.sharding_strategy is FULL_SHARD",
         "Write launch.sharding_strategy=SHARD_GRAD_OP"),
        (["--use_fsdp", "--fsdp_offload_params", "true"], FsdpOptions(), "FSDP_OFFLOAD_PARAMS=true",
         "Write launch.offload_params=true"),
        (["--use_fsdp", "--fsdp_state_dict_type", "SHARDED_STATE_DICT"], FsdpOptions(state_dict_type="FULL_STATE_DICT"),
         "FSDP_STATE_DICT_TYPE=SHARDED_STATE_DICT", "Write launch.state_dict_type=SHARDED_STATE_DICT"),
        (["--use_fsdp", "--fsdp_activation_checkpointing", "true"], FsdpOptions(), "FSDP_ACTIVATION_CHECKPOINTING=true",
         "Write launch.activation_checkpointing=true"),
        (["--use_fsdp", "--fsdp_sharding_strategy", "HYBRID_SHARD"], FsdpOptions(), "write FULL_SHARD", ""),
        (["--use_fsdp", "--fsdp_activation_checkpointing_offload", "true"], FsdpOptions(), "which Adapt does not do",
         "Leave it out"),
        (["--use_megatron_lm"], DdpOptions(), "asks for Megatron-LM", "Choose FSDP or DDP"),
        (["--dynamo_backend", "inductor"], DdpOptions(), "torch dynamo (INDUCTOR)", "--dynamo_backend"),
        (["--debug"], DdpOptions(), "launch.debug is false", "launch.debug: true"),
    ],
)  # fmt: skip
def test_something_else_is_refused_with_what_to_write(
    launched: Any, flags: list[str], options: LaunchOptions, message: str, hint: str
) -> None:
    launched(*flags)
    with pytest.raises(UsageError) as raised:
        settle_accelerate(options)
    assert message in raised.value.message and hint in raised.value.hint


def test_the_cpu_is_not_left_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")  # of prepare_simple_launcher_cmd_env
    settle_accelerate(DdpOptions())  # there is no GPU
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(UsageError, match=r"asks for the CPU, and launch\.use_cpu is false"):
        settle_accelerate(DdpOptions())
    settle_accelerate(DdpOptions(use_cpu=True))


def test_deepspeed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(UsageError, match="asks for DeepSpeed"):
        settle_accelerate(DdpOptions())
