"""Holds what ``accelerate launch`` was told against the configuration, by which a run goes."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
from pydantic import ValidationError

from adapt_core.errors import UsageError
from adapt_core.options import flat_names
from adapt_dist.accelerate_file import RESHARD, strategy
from adapt_dist.fsdp_options import FsdpOptions
from adapt_dist.options import LaunchOptions

NAMES = {"fsdp_transformer_cls_to_wrap": "fsdp_transformer_layer_cls_to_wrap", RESHARD: "fsdp_sharding_strategy"}
"""accelerate's names of options by those of its variables, where these differ."""

ONLY_IF_TOLD = ("auto_wrap_policy", "transformer_layer_cls_to_wrap", "backward_prefetch_policy", "state_dict_type")
"""Options that accelerate names only where it was told to; of the others it says its default too."""

OURS = ("FSDP_", "ACCELERATE_USE_", "ACCELERATE_DYNAMO_")
"""Beginnings of the variables that accelerate goes by, and Adapt has it go by its own options instead."""


def settle_accelerate(options: LaunchOptions) -> None:
    """Has accelerate go by the options alone, and not by what ``accelerate launch`` was told.

    Raises:
        UsageError: that was something else.
    """
    given = os.environ
    for name, what in (("DEEPSPEED", "DeepSpeed"), ("MEGATRON_LM", "Megatron-LM"), ("PARALLELISM_CONFIG", "a mesh")):
        if given.get(f"ACCELERATE_USE_{name}") == "true":
            raise UsageError(f"accelerate launch asks for {what}, which Adapt does not run", "Choose FSDP or DDP.")
    if (backend := given.get("ACCELERATE_DYNAMO_BACKEND", "NO")) != "NO":
        raise UsageError(
            f"accelerate launch asks for torch dynamo ({backend}), with which Adapt does not compile models",
            "Leave --dynamo_backend out.",
        )
    if given.get("ACCELERATE_DEBUG_MODE") == "true" and not options.debug:
        raise UsageError("accelerate launch asks for debugging, and launch.debug is false", "Write launch.debug: true.")
    cpu = given.get("ACCELERATE_USE_CPU", "false").lower() == "true"
    if cpu and not options.use_cpu and torch.cuda.is_available():
        raise UsageError(
            "accelerate launch asks for the CPU, and launch.use_cpu is false", "Write launch.use_cpu: true."
        )
    if given.get("ACCELERATE_USE_FSDP") == "true":
        if not isinstance(options, FsdpOptions):
            raise UsageError(
                "accelerate launch asks for FSDP, and launch.name is ddp",
                "Choose launch.name=fsdp; launch.accelerate_config reads accelerate's file.",
            )
        _require_same(given, options)
    for name in [each for each in given if each.startswith(OURS)]:
        del os.environ[name]


def _require_same(given: Mapping[str, str], options: FsdpOptions) -> None:
    """Raises UsageError where a variable of FSDP says something else than the options."""
    by_flat = {flat: option for option, info in FsdpOptions.model_fields.items() for flat in flat_names(info)}
    defaults = FsdpOptions()
    for variable in sorted(each for each in given if each.startswith("FSDP_") and each != "FSDP_VERSION"):
        asks = f"accelerate launch asks for {variable}={given[variable]}"
        name = variable.lower()
        option = by_flat.get(NAMES.get(name, name))
        if option is None:
            if given[variable] == "false":
                continue
            raise UsageError(f"{asks}, which Adapt does not do", "Leave it out.")
        text = strategy(given[variable]) if name == RESHARD else given[variable]
        try:
            asked = getattr(FsdpOptions.model_validate({option: text}), option)
        except ValidationError as error:
            raise UsageError(f"{asks}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
        holds = getattr(options, option)
        if asked != holds and (option in ONLY_IF_TOLD or asked != getattr(defaults, option)):
            raise UsageError(
                f"{asks}, and launch.{option} is {holds}",
                f"Write launch.{option}={text}, or leave it out of accelerate's command and file; "
                "launch.accelerate_config reads that file.",
            )
