"""The options of PEFT's tuners: the fields of their configuration classes, read without importing PEFT.

``adapt_core.methods.peft_tuners.options:vera`` is the option model of the tuner that PEFT calls ``vera``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import create_model

from adapt_core.errors import AdaptError
from adapt_core.methods.peft_tuners.rules import RULES
from adapt_core.methods.peft_tuners.source import Field, config_fields, tuners
from adapt_core.methods.peft_tuners.table import tuner
from adapt_core.methods.shared.layer_types import HOW_TO_NAME
from adapt_core.options import Options, option

FLAT = ("r", "alpha", "target_modules", "fan_in_fan_out")
"""Options that the top level of a configuration accepts too, by their own name."""

DEFAULTS: dict[str, Any] = {"num_virtual_tokens": 20}
"""Where PEFT has none and needs one."""

COMPUTED = frozenset({"total_step"})
"""Options that follow from the run."""

COUNTS = frozenset(
    {
        "block_size",
        "encoder_hidden_size",
        "encoder_num_layers",
        "group_size",
        "hybrid_r",
        "mini_r",
        "n_frequency",
        "num_attention_heads",
        "num_layers",
        "num_subspaces",
        "num_transformer_submodules",
        "num_vectors",
        "num_virtual_tokens",
        "r",
        "subspace_rank",
        "token_dim",
        "topk",
        "u",
        "vector_length",
    }
)
"""Sizes of what is trained: at least 1, or nothing is trained; 0 only where PEFT's own default 0 means "not this"."""


def offers(name: str) -> bool:
    """Whether there is such an option model: what is asked before one is made."""
    return name in tuners()


def __getattr__(name: str) -> type[Options]:
    if name not in tuners():
        raise AttributeError(f"the installed PEFT has no tuner {name!r}")
    return option_model(name)


@cache
def option_model(name: str) -> type[Options]:
    """The option model of a tuner.

    Raises:
        AdaptError: the tuner's configuration cannot be read.
    """
    try:
        hidden = COMPUTED.union(tuner(name).unused)
        fields = {field.name: _field(name, field) for field in config_fields(name) if field.name not in hidden}
        base = RULES.get(name, Options)
        made = create_model(f"{name}_options", __base__=base, __doc__=f"PEFT's own of {name}.", **fields)
    except (SyntaxError, TypeError, NameError) as error:
        raise AdaptError(f"the configuration of PEFT's tuner {name!r} cannot be read: {error}") from error
    made.__qualname__ = name  # by which pickle finds it in this module: launchers hand plans to their processes
    return made


def _field(name: str, field: Field) -> Any:
    default = DEFAULTS.get(field.name, field.default)
    flat = field.name if field.name in FLAT else None
    text = field.help or f"PEFT's {field.name}."
    if field.name == "target_modules":  # which Adapt reads
        text = f"Layers to adapt: {HOW_TO_NAME}; by default {tuner(name).default_layers}."
    counted = field.name in COUNTS and field.type in (int, int | None)
    bounds: dict[str, Any] = {"ge": 0 if default == 0 else 1} if counted else {}
    return field.type, option(default, help=text, flat=flat, **bounds)
