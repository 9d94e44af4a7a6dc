"""What may change in a configuration between a run and its resumption."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

HARMLESS = (
    "output_dir",  # the folder may have been moved or renamed; it is given anew
    "dataset.cache_dir",  # only where prepared rows are kept
    "dataset.num_proc",  # only how many processes prepare them
    "save",  # the export is made after training, from the same weights
    "training.resume",  # says how to start, not what to do
    "training.num_workers",  # randomness in the data path is a function of (seed, epoch, sample index)
    "training.eval_batch_size",  # metrics are over all rows; lowering it is how to get past "out of memory"
    "training.logging_steps",  # only how often a line is written
    "training.checkpoints",  # only how many are kept
    "training.trackers",  # only who is told
)
"""Keys, and sections, that may change between a run and its resumption. Everything else changes the result."""


def harmful_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The keys, dotted and in order, whose change between two configurations changes the result, with both values."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    changed = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    harmful = [key for key in changed if not any(key == name or key.startswith(f"{name}.") for name in HARMLESS)]
    return [(key, before.get(key), after.get(key)) for key in harmful]


def _leaves(value: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """The dotted keys of a nested mapping with their values; an empty mapping is a value."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner
