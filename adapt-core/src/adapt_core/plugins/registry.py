"""Which plugins are installed, found through entry points and loaded one at a time.

Loading imports only the modules that the entry points name. Option models and implementations are resolved when they
are asked for, so that listing plugins imports nothing heavy.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from adapt_core.errors import AdaptError, UsageError
from adapt_core.kinds import Kind, PluginSpec, TaskSpec, normalise
from adapt_core.plugins.discovery import entry_points, offers, reason
from adapt_core.plugins.installation import install_command
from adapt_core.plugins.references import module_exists, resolve, resolve_module
from adapt_core.utils.spelling import closest, nearest

if TYPE_CHECKING:
    from adapt_core.options import Options
    from adapt_core.plugins.catalogue import Listing


@dataclass(frozen=True)
class Entry:
    """A plugin that an installed distribution offers.

    Attributes:
        kind: what it is.
        spec: what it says of itself.
        distribution: the name of the distribution that offers it.
        version: of the distribution.
        error: why it cannot be used, None where nothing is known against it.
    """

    kind: Kind
    spec: PluginSpec
    distribution: str
    version: str
    error: str | None = None


@dataclass(frozen=True)
class Broken:
    """An entry point that could not be loaded, or whose hooks fail.

    Attributes:
        name: the entry point's name.
        distribution, version: where it comes from.
        reason: what went wrong.
    """

    name: str
    distribution: str
    version: str
    reason: str

    def __str__(self) -> str:
        return f"the plugin {self.name!r} of {self.distribution} {self.version} is broken: {self.reason}"


class Registry:
    """The installed plugins.

    Args:
        entries: every plugin offered.
        broken: the entry points that failed.
    """

    def __init__(self, entries: Iterable[Entry], broken: Iterable[Broken] = ()) -> None:
        ordered = sorted(entries, key=lambda entry: (list(Kind).index(entry.kind), entry.spec.name, entry.distribution))
        self._by_name: dict[tuple[Kind, str], list[Entry]] = {}
        for entry in ordered:
            for key in {normalise(name) for name in (entry.spec.name, *entry.spec.aliases)}:
                self._by_name.setdefault((entry.kind, key), []).append(entry)
        self._entries = tuple(self._marked(entry) for entry in ordered)
        self.broken = tuple(broken)

    @classmethod
    def load(cls) -> Registry:
        """Reads the entry points of group ``adapt``. A plugin that fails is kept as broken and hurts no other."""
        entries: list[Entry] = []
        broken: list[Broken] = []
        for point, distribution, version in entry_points():
            try:
                entries += [Entry(kind, spec, distribution, version) for kind, spec in offers(point)]
            # Broad: a plugin is somebody else's code and may raise anything, down to sys.exit(), when imported or
            # called. It is reported as broken, with its reason.
            except (Exception, SystemExit) as error:  # noqa: BLE001
                broken.append(Broken(point.name, distribution, version, reason(error)))
        return cls(entries, broken)

    def entries(self, kind: Kind | None = None) -> tuple[Entry, ...]:
        """Every plugin, or those of one kind, by kind and name. Two with one name both say so in ``error``."""
        return tuple(entry for entry in self._entries if kind in (None, entry.kind))

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The names of one kind, sorted, each once."""
        return tuple(dict.fromkeys(entry.spec.name for entry in self.entries(kind)))

    def has(self, kind: Kind, name: str) -> bool:
        """Whether a plugin of a kind answers to a name, be it an alias of its."""
        return (kind, normalise(name)) in self._by_name

    def offers(self, kind: Kind) -> str:
        """The names of one kind for somebody who has named none: the common ones, and how many others there are."""
        names = self.names(kind)
        common = {entry.spec.name for entry in self.entries(kind) if is_common(entry.spec)}
        listed = ", ".join(name for name in names if name in common)
        others = len(names) - len(common)
        return f"{listed} and {others} more, which `adapt plugins` lists" if others else listed

    def get(self, kind: Kind, name: str) -> Entry:
        """The plugin that a configuration names, by name or alias, whatever its case.

        Raises:
            UsageError: nothing installed has the name, or more than one distribution does, or it may come from a
                plugin that is broken.
        """
        found = self._by_name.get((kind, normalise(name)), [])
        if not found:
            raise self._unknown(kind, name)
        if len(found) > 1:
            message = f"the {kind.value} {name!r} cannot be used: {_clash(found)}"
            raise UsageError(message, "Uninstall one of them.", "plugin-ambiguous")
        return found[0]

    def options(self, spec: PluginSpec) -> type[Options]:
        """The option model of a plugin's own section. Raises AdaptError when it cannot be loaded."""
        return option_model(spec.options)

    def missing(self, spec: PluginSpec) -> str | None:
        """What a plugin needs that is not installed, and how to install it; None where nothing is missing."""
        return missing_modules(spec.requires, spec.install)

    def load_target(self, plugin: Entry | PluginSpec) -> Any:
        """The implementation class. Imports what it needs. Raises AdaptError when it cannot be loaded."""
        return resolve((plugin.spec if isinstance(plugin, Entry) else plugin).target)

    def examined(self, kind: Kind | None = None) -> tuple[Entry, ...]:
        """Like :meth:`entries`, after a look at each: its option models are loaded, its implementation is looked for.

        The implementation is not imported. What is wrong is in ``error``.
        """
        return tuple(replace(entry, error=self.why_not_usable(entry)) for entry in self.entries(kind))

    def why_not_usable(self, entry: Entry) -> str | None:
        """Why a plugin would fail on use, as far as can be told without importing its implementation; None if not."""
        return entry.error or self.missing(entry.spec) or _why_not_usable(entry.spec)

    def catalogue(self) -> tuple[Listing, ...]:
        """Every first-party plugin, whether or not its distribution is installed."""
        return self._catalogue

    @cached_property
    def _catalogue(self) -> tuple[Listing, ...]:
        from adapt_core.plugins.catalogue import read_catalogue  # Only what is missing is looked up in it.

        return read_catalogue()

    def _marked(self, entry: Entry) -> Entry:
        """The entry, with an error if another has its name too."""
        rivals = self._by_name[entry.kind, entry.spec.name]
        return replace(entry, error=_clash(rivals)) if len(rivals) > 1 else entry

    def _unknown(self, kind: Kind, name: str) -> UsageError:
        """Why nothing has the name, and what to do."""
        key = normalise(name)
        listing = next((one for one in self.catalogue() if one.kind is kind and key in one.keys), None)
        for broken in self.broken:
            if normalise(broken.name) == key or (listing and broken.distribution == listing.distribution):
                return UsageError(f"the {kind.value} {name!r} cannot be used: {broken}", code="plugin-broken")
        if listing:
            return _not_installed(f"the {kind.value} {name!r}", listing.distribution)
        known = self.names(kind)
        where = "is installed" if known else "is installed, nor is any other"
        near = nearest(name, known) if closest(name, known) or not known else f"; known: {self.offers(kind)}"
        message = f"no {kind.value} named {name!r} {where}{near}"
        if self.broken and not closest(name, known):
            hint = "\n".join(f"It may come from another: {broken}." for broken in self.broken)
            return UsageError(message, hint, "no-such-plugin")
        return UsageError(message, code="no-such-plugin")


def is_common(spec: PluginSpec) -> bool:
    """Whether messages should name a plugin rather than count it."""
    return getattr(spec, "common", True) and getattr(spec, "support", "tested") == "tested"


def _clash(rivals: list[Entry]) -> str:
    """The error of plugins that answer to the same name."""
    return "it is offered by " + " and by ".join(sorted(f"{rival.distribution} {rival.version}" for rival in rivals))


def missing_modules(modules: Iterable[str], install: str) -> str | None:
    """Which of some modules are not there, and how to install them; None where all are."""
    missing = [module for module in modules if not module_exists(module)]
    if not missing:
        return None
    verb = "is" if len(missing) == 1 else "are"
    return f"{' and '.join(missing)} {verb} not installed" + (f"; install: {install}" if install else "")


def option_model(reference: str) -> type[Options]:
    """The option model that a reference names. Raises AdaptError when it cannot be loaded or is none."""
    from adapt_core.options import Options  # Imports pydantic, which listing plugins does not need.

    model = resolve(reference)
    if not (isinstance(model, type) and issubclass(model, Options)):
        raise AdaptError(f"{reference} must be a subclass of adapt_core.options.Options, not {model!r}")
    return model


def _require_option_model(reference: str) -> None:
    """Loads an option model, unless its module makes models on demand and says in ``offers`` that it can make this."""
    module, _, name = reference.partition(":")
    offers: Any = getattr(resolve_module(module, reference), "offers", None)
    if offers is None or not offers(name):
        option_model(reference)


def _why_not_usable(spec: PluginSpec) -> str | None:
    """Why a plugin would fail on use, as far as can be told without importing its implementation."""
    try:
        _require_option_model(spec.options)
        if isinstance(spec, TaskSpec):
            for reference in (spec.dataset, spec.prediction, *(each.model for each in spec.libraries)):
                option_model(reference)
            for library in spec.libraries:
                option_model(library.engine.training)
    except AdaptError as error:
        return error.message
    from adapt_core.config.sections import core_names  # Imports pydantic, which listing plugins does not need.

    if spec.switch in core_names():
        return f"its switch {spec.switch!r} is a parameter of the core already, and chooses nothing"
    engines = [each.engine.target for each in spec.libraries] if isinstance(spec, TaskSpec) else []
    for target in filter(None, (spec.target, *engines, spec.check)):
        module = target.partition(":")[0]
        if not module_exists(module):
            return f"cannot load {target}: there is no module {module}"
    return None


def _not_installed(what: str, distribution: str) -> UsageError:
    """The error for a first-party plugin that no installed distribution offers."""
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        message = f"{what} is provided by {distribution}, which is not installed"
        return UsageError(message, install_command(distribution), "plugin-not-installed")
    message = f"{what} is not in the installed {distribution} {version}"
    return UsageError(message, install_command(distribution, flag="--upgrade"), "plugin-not-installed")
