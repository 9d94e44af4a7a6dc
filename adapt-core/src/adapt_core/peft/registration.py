"""Makes a tuner known to PEFT, whose own registration takes only the names of its closed enumeration."""

from __future__ import annotations

from enum import Enum
from typing import Any

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING


class OwnPeftType(str, Enum):  # noqa: UP042  # as PEFT's: its value is what PEFT compares and writes
    """Adapt's members beside those of ``peft.PeftType``."""

    BOTTLENECK = "BOTTLENECK"
    SSF = "SSF"


def register(name: str, config: Any, tuner: Any, *, prefix: str) -> None:
    """Adds a tuner to PEFT's mappings.

    Args:
        name: a member of :class:`OwnPeftType`.
        config, tuner: its classes.
        prefix: with which the names of its parameters begin.
    """
    kind: Any = OwnPeftType(name)
    PEFT_TYPE_TO_CONFIG_MAPPING[kind] = config
    PEFT_TYPE_TO_TUNER_MAPPING[kind] = tuner
    PEFT_TYPE_TO_PREFIX_MAPPING[kind] = prefix
