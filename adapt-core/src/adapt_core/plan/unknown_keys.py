"""Says of an unknown key what it may be: another section's, another plugin's, or a mistyped one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapt_core.config.document import KeyPath
from adapt_core.config.sections import ROOT, SECTIONS
from adapt_core.errors import AdaptError
from adapt_core.kinds import Kind
from adapt_core.options import Options, flat_names, library_names
from adapt_core.plan.choose import all_option_models
from adapt_core.plugins.installation import install_command
from adapt_core.plugins.registry import Entry, Registry, is_common
from adapt_core.utils.spelling import closest

if TYPE_CHECKING:
    from adapt_core.plugins.catalogue import Listing

Explanation = tuple[str, str, str | None]
"""The code of a problem, what is wrong with a key, and what to write instead."""

FEW = 10
"""No more names than these are listed in a message."""


@dataclass(frozen=True)
class Owner:
    """An option that a key may have been meant for.

    Attributes:
        key: its name in its section.
        flats: its flat names.
        section: "" for the top level.
        help: what it means.
        library_name: its name in the library behind the plugin.
        kind, plugin: whose it is; None for the core's own.
        missing: the distribution to install, None where it is installed.
    """

    key: str
    flats: tuple[str, ...]
    section: str
    help: str = ""
    kind: Kind | None = None
    plugin: str | None = None
    missing: str | None = None
    library_name: str | None = None

    @property
    def dotted(self) -> str:
        """The nested key."""
        return f"{self.section}.{self.key}" if self.section else self.key

    @property
    def flat(self) -> str | None:
        """The first flat name."""
        return next(iter(self.flats), None)

    def answers_to(self, key: str) -> bool:
        """Whether a key is its name. Every plugin section has a ``name``, which says nothing."""
        return key in self.flats or (key == self.key and key != "name")

    def means(self, key: str) -> bool:
        """Whether its meaning begins or ends with the words of a key: "Peak learning rate." with ``learning_rate``."""
        words, meaning = key.replace("_", " ").lower(), self.help.lower().rstrip(".")
        return bool(words) and (f"{meaning} ".startswith(f"{words} ") or f" {meaning}".endswith(f" {words}"))


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
        """The options of this name that belong to plugins not chosen here: installed and common ones first."""
        entries = sorted(self.registry.entries(), key=lambda entry: not is_common(entry.spec))
        installed = {(entry.kind, entry.spec.name) for entry in entries}
        chosen = {(entry.kind, entry.spec.name) for entry in self.chosen.values()}
        found = [
            owner
            for entry in entries
            # What is seldom used is seldom meant, and there is much of it.
            if (entry.kind, entry.spec.name) not in chosen and getattr(entry.spec, "support", "tested") == "tested"
            for owner in _entry_owners(entry, self.registry)
        ]
        for listing in self.registry.catalogue():
            if (listing.kind, listing.name) not in installed:
                found += _listed_owners(listing)
        return [owner for owner in found if owner.answers_to(key)]

    def meant(self, key: str, section: str) -> set[KeyPath]:
        """The options that an unknown key may stand for, and more rather than fewer: nobody knows their values."""
        found: set[KeyPath] = set()
        for owner in self.here:
            names = (owner.key, *owner.flats)
            if key == owner.library_name or owner.answers_to(key) or owner.means(key) or closest(key, names):
                found.add((owner.section, owner.key) if owner.section else (owner.key,))
        if not section and (near := closest(key, SECTIONS)):
            found.add((near,))
        return found

    def explain(self, key: str, section: str, valid: Collection[str]) -> Explanation:
        """Why a key is none of those that are valid in a section, "" for the top level."""
        known = [owner for owner in self.here if owner.answers_to(key)]
        for owner in self.here:
            if key == owner.library_name and section in ("", owner.section):
                name = owner.key if section else owner.flat or owner.dotted
                return "unknown-key", f"{key} is the name in the library behind {owner.plugin}", name
        for owner in known:
            if key in owner.flats and owner.section == section:
                message = f"{key} is the name for the top level; in this section it is {owner.key}"
                return "misplaced-key", message, owner.key
        if known:
            places = " or ".join(dict.fromkeys(owner.section or "the top level" for owner in known))
            suggestion = known[0].dotted if len(known) == 1 else None
            return "misplaced-key", f"unknown key here; {key} belongs to {places}", suggestion
        if others := self.elsewhere(key):
            return "key-of-another-plugin", self._of_another(key, others), None
        if key in SECTIONS:
            return "misplaced-key", f"unknown key here; {key} is a section of the top level", key
        if near := closest(key, valid):
            return "unknown-key", "unknown key", near
        meant = [owner for owner in self.here if owner.means(key) and section in ("", owner.section)]
        if len(meant) == 1:
            return "unknown-key", "unknown key", meant[0].key if section else meant[0].flat or meant[0].dotted
        distant = closest(key, (owner.key for owner in self.here if owner.key != "name"))
        if section and distant:
            suggestion = next(owner.dotted for owner in self.here if owner.key == distant)
            return "unknown-key", "unknown key", suggestion
        few = section and 0 < len(valid) <= FEW
        message = f"unknown key; known here: {', '.join(sorted(valid))}" if few else "unknown key"
        return "unknown-key", message, None

    def _of_another(self, key: str, owners: list[Owner]) -> str:
        """For a key of plugins that this configuration does not choose."""
        first = owners[0]
        assert first.kind is not None
        alike = [owner for owner in owners if (owner.section, owner.missing) == (first.section, first.missing)]
        plugins = list(dict.fromkeys(str(owner.plugin) for owner in alike))
        names = " or ".join(plugins) if len(plugins) <= 3 else f"{', '.join(plugins[:3])} and others"
        what = {"dataset": "the data of task", "model": "the models of task", "training": "the training of task"}.get(
            first.section, first.kind.value
        )
        if first.missing:
            install = f"which is not installed; install it: {install_command(first.missing)}"
            return f"{key} belongs to {what} {names} of {first.missing}, {install}"
        chosen = self.chosen.get(first.kind)
        instead = f"the {first.kind.value} here is {chosen.spec.name}" if chosen else f"no {first.kind.value} is chosen"
        return f"{key} belongs to {what} {names}; {instead}"


def _core_owners() -> Iterator[Owner]:
    sections: dict[str, type[Options]] = {"": ROOT, **SECTIONS}
    for section, model in sections.items():
        for name, info in model.model_fields.items():
            yield Owner(name, flat_names(info), section, info.description or "")


def _entry_owners(entry: Entry, registry: Registry) -> Iterator[Owner]:
    if entry.spec.switch:
        yield Owner("name", (entry.spec.switch,), entry.kind.section, "", entry.kind, entry.spec.name)
    try:
        models = all_option_models(entry, registry)
    except AdaptError:
        return  # A broken plugin owns nothing; it is reported where it is chosen, and by `adapt plugins`.
    for section, model in models:
        for name, info in model.model_fields.items():
            if name not in SECTIONS[section].model_fields:
                help, elsewhere = info.description or "", library_names(model).get(name)
                yield Owner(name, flat_names(info), section, help, entry.kind, entry.spec.name, library_name=elsewhere)


def _listed_owners(listing: Listing) -> Iterator[Owner]:
    whose = ("", listing.kind, listing.name, listing.distribution)
    if listing.switch:
        yield Owner("name", (listing.switch,), listing.kind.section, *whose)
    for section, options in listing.options.items():
        for name, flats in options.items():
            if name not in SECTIONS[section].model_fields:
                yield Owner(name, tuple(flats), section, *whose)
