"""What Adapt's own distributions offer, whether or not they are installed.

``catalogue.json`` beside this file is generated from the plugins themselves, so that an installation without, say,
adapt-nlp can tell which package to install.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

from adapt_core.kinds import Kind, normalise


@dataclass(frozen=True)
class Listing:
    """One first-party plugin.

    Attributes:
        kind, name, summary, aliases, switch: as in its spec.
        distribution: what provides it.
        options: by section, from the name of each option that it brings to the flat names.
    """

    kind: Kind
    name: str
    summary: str
    distribution: str
    aliases: tuple[str, ...] = ()
    switch: str | None = None
    options: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    @property
    def keys(self) -> set[str]:
        """Every name that it answers to, normalised."""
        return {normalise(name) for name in (self.name, *self.aliases)}


def read_catalogue() -> tuple[Listing, ...]:
    """The generated catalogue, by distribution, kind and name."""
    text = resources.files("adapt_core.plugins").joinpath("catalogue.json").read_text(encoding="utf-8")
    return tuple(
        Listing(**{**row, "kind": Kind(row["kind"]), "aliases": tuple(row["aliases"])}) for row in json.loads(text)
    )
