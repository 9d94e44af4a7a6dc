"""What may change in a configuration between a run and its resumption."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from adapt_core.kinds import Kind, normalise

HARMLESS = (
    "output_dir",  # the folder may have been moved or renamed; it is given anew
    "launch",  # the rows of a step do not depend on the number of processes; batches are compared over all of them
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


STEP = ("training.batch_size", "training.gradient_accumulation_steps")
"""With the number of processes, these make the rows of a step: it is their product that changes the result."""


def harmful_changes(
    old: Mapping[str, Any], new: Mapping[str, Any], processes: tuple[int | None, int | None] = (None, None)
) -> list[tuple[str, Any, Any]]:
    """The keys, dotted and in order, whose change between two configurations changes the result, with both values.

    Args:
        old: the configuration of the run.
        new: that with which it would go on.
        processes: how many there were, and how many there will be; None where that is not known.
    """
    before, after = dict(_leaves(old)), dict(_leaves(new))
    rows = [_rows_of_step(*each) for each in zip((before, after), processes, strict=True)]
    if None not in rows and processes[0] != processes[1]:
        for leaves, number in zip((before, after), rows, strict=True):
            for key in STEP:
                leaves.pop(key, None)
            leaves["training.batch_size × gradient_accumulation_steps × processes"] = number
    changed = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    harmful = [key for key in changed if not any(key == name or key.startswith(f"{name}.") for name in HARMLESS)]
    return [(key, before.get(key), after.get(key)) for key in harmful]


def without_replaced(config: Path, overrides: Sequence[str]) -> Path | dict[str, Any]:
    """A run's configuration, without the options of plugins in whose place the overrides name others.

    Args:
        config: the file, in canonical form.
        overrides: ``key=value``; ``launch.name=local`` and ``launch=local`` name the plugin of a section.

    Returns:
        The file itself where nothing is replaced.
    """
    named = {key.strip(): value.strip() for key, _, value in (each.partition("=") for each in overrides)}
    wanted = {kind.section: named.get(f"{kind.section}.name", named.get(kind.section)) for kind in Kind}
    if not any(wanted.values()) or not config.is_file():
        return config
    stored = yaml.safe_load(config.read_text(encoding="utf-8"))
    others = {
        section: name
        for section, name in wanted.items()
        if name and normalise(name) != normalise(str((stored.get(section) or {}).get("name", "")))
    }
    return stored | {section: {"name": name} for section, name in others.items()} if others else config


def _rows_of_step(leaves: Mapping[str, Any], processes: int | None) -> int | None:
    """The rows of an optimizer step, over all processes; None where it is not known."""
    factors = [leaves.get(key) for key in STEP] + [processes]
    if not all(isinstance(each, int) for each in factors):
        return None
    batch, group, size = map(int, factors)  # type: ignore[arg-type]
    return batch * group * size


def _leaves(value: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """The dotted keys of a nested mapping with their values; an empty mapping is a value."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner
