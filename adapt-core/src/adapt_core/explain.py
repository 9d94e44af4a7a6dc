"""Says of an unknown key what it may be: another section's, another plugin's, or a mistyped one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from adapt_core.catalogue import Listing
from adapt_core.config import CHOOSERS, ROOT, SECTIONS
from adapt_core.errors import AdaptError
from adapt_core.kinds import Kind, TaskSpec
from adapt_core.names import closest
from adapt_core.options import Options, flat_name
from adapt_core.registry import Entry, Registry

Explanation = tuple[str, str | None]
"""What is wrong with a key, and what to write instead."""

FEW = 10
"""No more names than these are listed in a message."""


@dataclass(frozen=True)
class Owner:
    """An option that a key may have been meant for.

    Attributes:
        key: its name in its section.
        flat: its flat name.
        section: "" for the top level.
        kind, plugin: whose it is; None for the core's own.
        missing: the distribution to install, None where it is installed.
    """

    key: str
    flat: str | None
    section: str
    kind: Kind | None = None
    plugin: str | None = None
    missing: str | None = None

    @property
    def dotted(self) -> str:
        """The nested key."""
        return f"{self.section}.{self.key}" if self.section else self.key

    def answers_to(self, key: str) -> bool:
        """Whether a key is its name. Every plugin section has a ``name``, which says nothing."""
        return key == self.flat or (key == self.key and key != "name")


class Owners:
    """Every option that a key may have been meant for.

    Args:
        chosen: the plugins of this configuration.
        registry: the installed plugins, and the catalogue of what else there could be.
    """

    def __init__(self, chosen: Mapping[Kind, Entry], registry: Registry) -> None:
        self.chosen = chosen
        self.registry = registry
        self.here = [*_core_owners(), *(owner for entry in chosen.values() for owner in _entry_owners(entry, registry))]

    def elsewhere(self, key: str) -> list[Owner]:
        """The options of this name that belong to plugins not chosen here, the installed ones first."""
        entries = self.registry.entries()
        installed = {(entry.kind, entry.spec.name) for entry in entries}
        chosen = {(entry.kind, entry.spec.name) for entry in self.chosen.values()}
        found = [
            owner
            for entry in entries
            if (entry.kind, entry.spec.name) not in chosen
            for owner in _entry_owners(entry, self.registry)
        ]
        for listing in self.registry.catalogue():
            if (listing.kind, listing.name) not in installed:
                found += _listed_owners(listing)
        return [owner for owner in found if owner.answers_to(key)]

    def explain(self, key: str, section: str, valid: Collection[str]) -> Explanation:
        """Why a key is none of those that are valid in a section, "" for the top level."""
        known = [owner for owner in self.here if owner.answers_to(key)]
        for owner in known:
            if key == owner.flat and owner.section == section:
                return f"{key} is the name for the top level; in this section it is {owner.key}", owner.key
        if known:
            places = " or ".join(dict.fromkeys(owner.section or "the top level" for owner in known))
            return f"unknown key here; {key} belongs to {places}", known[0].dotted if len(known) == 1 else None
        if others := self.elsewhere(key):
            return self._of_another(key, others), None
        if key in SECTIONS:
            return f"unknown key here; {key} is a section of the top level", key
        if near := closest(key, valid):
            return "unknown key", near
        distant = closest(key, (owner.key for owner in self.here if owner.key != "name"))
        if section and distant:
            return "unknown key", next(owner.dotted for owner in self.here if owner.key == distant)
        few = section and 0 < len(valid) <= FEW
        return f"unknown key; known here: {', '.join(sorted(valid))}" if few else "unknown key", None

    def _of_another(self, key: str, owners: list[Owner]) -> str:
        """For a key of plugins that this configuration does not choose."""
        first = owners[0]
        assert first.kind is not None
        alike = [owner for owner in owners if (owner.section, owner.missing) == (first.section, first.missing)]
        names = " or ".join(dict.fromkeys(str(owner.plugin) for owner in alike))
        what = "the data of task" if first.section == "dataset" else first.kind.value
        if first.missing:
            install = f"which is not installed; install it: pip install {first.missing}"
            return f"{key} belongs to {what} {names} of {first.missing}, {install}"
        chosen = self.chosen.get(first.kind)
        instead = f"the {first.kind.value} here is {chosen.spec.name}" if chosen else f"no {first.kind.value} is chosen"
        return f"{key} belongs to {what} {names}; {instead}"


def option_models(entry: Entry, registry: Registry) -> dict[str, type[Options]]:
    """The option models of a plugin by section: its own, and for a task that of ``dataset``.

    Raises:
        AdaptError: one cannot be loaded, or has a field that the core reads itself.
    """
    own = registry.options(entry.spec)
    for name in CHOOSERS[entry.kind].model_fields:
        if name in own.model_fields:
            message = f"the {entry.kind.value} {entry.spec.name} of {entry.distribution} is broken"
            raise AdaptError(f"{message}: its option {name!r} is the core's own")
    models = {entry.kind.section: own}
    if isinstance(entry.spec, TaskSpec):
        models["dataset"] = registry.dataset_options(entry.spec)
    return models


def _core_owners() -> Iterator[Owner]:
    sections: dict[str, type[Options]] = {"": ROOT, **SECTIONS}
    for section, model in sections.items():
        for name, info in model.model_fields.items():
            yield Owner(name, flat_name(info), section)


def _entry_owners(entry: Entry, registry: Registry) -> Iterator[Owner]:
    if entry.spec.switch:
        yield Owner("name", entry.spec.switch, entry.kind.section, entry.kind, entry.spec.name)
    try:
        models = option_models(entry, registry)
    except AdaptError:
        return  # A broken plugin owns nothing; it is reported where it is chosen, and by `adapt plugins`.
    for section, model in models.items():
        for name, info in model.model_fields.items():
            if name not in SECTIONS[section].model_fields:
                yield Owner(name, flat_name(info), section, entry.kind, entry.spec.name)


def _listed_owners(listing: Listing) -> Iterator[Owner]:
    whose = (listing.kind, listing.name, listing.distribution)
    if listing.switch:
        yield Owner("name", listing.switch, listing.kind.section, *whose)
    for section, options in ((listing.kind.section, listing.options), ("dataset", listing.dataset)):
        for name, flat in options.items():
            if name not in SECTIONS[section].model_fields:
                yield Owner(name, flat, section, *whose)
