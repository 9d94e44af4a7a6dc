"""Reads accelerate's configuration file as options of a launcher. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

VERSION_2 = "fsdp_version"
RESHARD = "fsdp_reshard_after_forward"

NO_TPU = "Adapt does not run on TPUs; remove the key"

ONE_MEANING: dict[str, tuple[tuple[Any, ...], str]] = {
    "compute_environment": (
        ("LOCAL_MACHINE",),
        "machines are started by torchrun, Slurm, Kubernetes or SkyPilot: adapt launch-command writes what they need",
    ),
    "downcast_bf16": (("no", False), "it is for TPUs, which Adapt does not run on; set training.bf16"),
    "machine_rank": (
        (0,),
        "torchrun tells each machine its rank (--node-rank): adapt launch-command writes its commands",
    ),
    "main_training_function": (("main",), "Adapt starts its own function; remove the key"),
    "same_network": ((True,), "all machines must reach the address at which they meet"),
    "tpu_env": (([],), NO_TPU),
    "tpu_use_cluster": ((False,), NO_TPU),
    "tpu_use_sudo": ((False,), NO_TPU),
    "tpu_name": ((), NO_TPU),
    "tpu_zone": ((), NO_TPU),
    "tpu_vm": (([],), NO_TPU),
    "commands": (([],), NO_TPU),
    "command_file": ((), NO_TPU),
    "enable_cpu_affinity": ((False,), "Adapt leaves the binding of processes to cores to numactl or the scheduler"),
    "gpu_ids": (("all",), "set CUDA_VISIBLE_DEVICES, and launch.num_processes to how many it names"),
    "deepspeed_config": (({},), "Adapt does not run DeepSpeed; choose launch.name: fsdp"),
    "dynamo_config": (({},), "Adapt does not compile models with torch dynamo; remove it there"),
    "fp8_config": (({},), "Adapt does not train in 8 bits; set training.bf16"),
    "fsdp_config": (({},), "write launch.name: fsdp"),
    "megatron_lm_config": (({},), "Adapt does not run Megatron-LM; choose launch.name: fsdp"),
    "mpirun_config": (({},), "Adapt starts its processes by torchrun's agent; remove it there"),
    "parallelism_config": (({},), "fsdp shards a model over all processes, and in no other way; remove it there"),
}
"""The values that accelerate's keys may have that are no choice under Adapt, and why they may have no other."""


def why_not(key: str, value: Any) -> str | None:
    """Why a key of :data:`ONE_MEANING` may not have a value; None where it may."""
    allowed, reason = ONE_MEANING[key]
    return None if value in allowed else only(allowed, reason)


def only(allowed: tuple[Any, ...], reason: str) -> str:
    """What is said of another value than the ones allowed."""
    return f"it can only be {allowed[0]!r}: {reason}" if allowed else reason


def options_of(path: str, names: Mapping[str, str]) -> dict[str, Any]:
    """The options that a file sets, by name.

    Args:
        path: of the file that ``accelerate config`` wrote.
        names: an option's name by its name in the file.

    Raises:
        ValueError: it cannot be read, or sets what the launcher does not do.
    """
    try:
        content = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"accelerate's file {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"accelerate's file {path} is no mapping")
    given = _flat(content, path) if any(name.startswith("fsdp_") for name in names) else content
    machines = given.get("num_machines") or 1
    if machines == 1:
        given.pop("same_network", None)  # there is no other machine to be on it
    if (total := given.get("num_processes")) is not None:
        if total % machines:
            raise ValueError(f"{path}: num_processes is {total}, which {machines} machines cannot share evenly")
        given["num_processes"] = total // machines  # accelerate counts those of all machines
    settled = {key: value for key, value in given.items() if key in ONE_MEANING and key not in names}
    for key, value in settled.items():
        if reason := why_not(key, value):
            raise ValueError(f"{path}: {key} is {value!r}; {reason}")
    unknown = sorted(set(given) - set(names) - set(settled))
    if unknown:
        raise ValueError(f"{path} sets what this launcher does not know: {', '.join(unknown)}; remove it there")
    return {names[key]: given[key] for key in given if key in names}


def _flat(content: dict[str, Any], path: str) -> dict[str, Any]:
    """With what is of FSDP beside the rest, under the names of FSDP1."""
    inner = content.pop("fsdp_config", None) or {}
    if not isinstance(inner, dict):
        raise ValueError(f"fsdp_config in {path} is no mapping")
    given = {**content, **inner}
    given.pop(VERSION_2, None)  # FSDP1 is asked for under other names, which are translated
    if (reshards := given.pop(RESHARD, None)) is not None:
        given.setdefault("fsdp_sharding_strategy", strategy(reshards))
    return given


def strategy(reshards: Any) -> str:
    """FSDP1's word for FSDP2's boolean, or for the word that accelerate may have in its place."""
    word = str(reshards).upper()
    return {"TRUE": "FULL_SHARD", "FALSE": "SHARD_GRAD_OP"}.get(word, word)
