"""What a checkpoint has no weights for, beside a head: told by name, or refused where it is most of the model."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed

POOLER = "pooler"
"""A part of the names of what stands between a base and its head, which checkpoints of language models lack."""


def fresh_parts(module: nn.Module, hints: Hints, missing: Collection[str], source: str) -> tuple[str, ...]:
    """A notice of the parts of a base that start at random; none where all is there.

    A head, and a pooler before it, may be new: they are for the task.

    Args:
        module: the model, before any method.
        hints: of it.
        missing: the names of the parameters and buffers that the checkpoint has no values for.
        source: what the checkpoint is called.

    Raises:
        AdaptError: it has none for most of the base.
    """
    base = {name: each for name, each in module.named_parameters() if not _for_the_task(name, hints)}
    made = {name for name in base if name in missing}
    fresh, total = (sum(base[name].numel() for name in names) for names in (made, base))
    if 2 * fresh > total:
        raise AdaptError(
            f"{source} holds no weights for most of {type(module).__name__}: {fresh:,} of {total:,} parameters "
            "outside its head would start at random",
            "Is it the right checkpoint, and for the right architecture?",
        )
    if not made:
        return ()
    parts = list(_parts(module, made))
    several = "they start" if len(parts) > 1 else "it starts"
    return (
        f"{source} holds no weights for {listed(parts)} ({fresh:,} of {total:,} parameters): {several} at random, and "
        "must be learnt as a new head is. Is it the right checkpoint?",
    )


def _for_the_task(name: str, hints: Hints) -> bool:
    return f"{name}.".startswith(tuple(f"{each}." for each in hints.head) or "\0") or POOLER in name.split(".")


def _parts(module: nn.Module, made: Collection[str], place: str = "") -> Iterator[str]:
    """The largest modules that are missing as a whole, and single parameters of others."""
    own = [f"{place}{name}" for name, _ in module.named_parameters()]
    if not own:
        return
    if place and all(name in made for name in own):
        yield place.removesuffix(".")
        return
    yield from (name for leaf in module._parameters if (name := f"{place}{leaf}") in made)
    for name, child in module.named_children():
        yield from _parts(child, made, f"{place}{name}.")
