"""Reads accelerate's configuration file as options of FSDP. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

VERSION_2 = "fsdp_version"
RESHARD = "fsdp_reshard_after_forward"


def options_of(path: str, names: Mapping[str, str]) -> dict[str, Any]:
    """The options that a file sets, by name.

    Args:
        path: of the file that ``accelerate config`` wrote.
        names: an option's name by its name in the file.

    Raises:
        ValueError: it cannot be read, is not for FSDP, or sets what is no option.
    """
    try:
        content = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"accelerate's file {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"accelerate's file {path} is no mapping")
    inner = content.pop("fsdp_config", None) or {}
    if not isinstance(inner, dict):
        raise ValueError(f"fsdp_config in {path} is no mapping")
    given = {**content, **inner}
    given.pop(VERSION_2, None)  # FSDP1 is asked for under other names, which are translated
    if (reshards := given.pop(RESHARD, None)) is not None:
        given.setdefault("fsdp_sharding_strategy", _strategy(reshards))
    machines = given.get("num_machines") or 1
    if (total := given.get("num_processes")) is not None:
        if total % machines:
            raise ValueError(f"{path}: num_processes is {total}, which {machines} machines cannot share evenly")
        given["num_processes"] = total // machines  # accelerate counts those of all machines
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise ValueError(f"{path} sets what Adapt's FSDP does not know: {', '.join(unknown)}; remove it there")
    return {names[key]: value for key, value in given.items()}


def _strategy(reshards: Any) -> str:
    """FSDP2's boolean, or FSDP1's word that some files have in its place."""
    if isinstance(reshards, bool):
        return "FULL_SHARD" if reshards else "SHARD_GRAD_OP"
    return str(reshards)
