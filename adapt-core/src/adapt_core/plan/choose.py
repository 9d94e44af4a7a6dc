"""Finds the plugins that a configuration names."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapt_core.config.flat import Nested, Table, as_boolean
from adapt_core.config.messages import shown
from adapt_core.config.sections import CHOOSERS, DEFAULT_LAUNCHER, DEFAULT_SAVER, NOTHING, DatasetOptions
from adapt_core.errors import AdaptError, Problem
from adapt_core.kinds import Kind, MethodSpec, TaskSpec, normalise
from adapt_core.options import Options
from adapt_core.plugins.registry import Entry, Registry

_DEFAULTS = {Kind.SAVER: DEFAULT_SAVER, Kind.LAUNCHER: DEFAULT_LAUNCHER}
MAY_BE_NOTHING = (Kind.QUANTIZER, Kind.SAVER)
"""The kinds of which a configuration may say that it wants none."""


@dataclass
class Chosen:
    """The plugins of a configuration.

    Attributes:
        entries: by kind; a kind that chooses none has no entry.
        models: the option models that they bring, by section.
        undecided: kinds whose plugin is missing, unknown or broken; what belongs to it cannot be judged.
        problems: why.
        table: the flat names, theirs included.
    """

    table: Table
    entries: dict[Kind, Entry] = field(default_factory=dict)
    models: dict[str, type[Options]] = field(default_factory=dict)
    undecided: set[Kind] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def choose(nested: Nested, table: Table, registry: Registry) -> Chosen:
    """Finds the plugins that a configuration names, and what they add to the table."""
    chosen = Chosen(table)
    for kind in Kind:
        path = (kind.section, "name")
        try:
            name = _name(kind, nested, registry, chosen.entries.get(Kind.METHOD))
            if name is None:
                continue
            entry = registry.get(kind, name)
            models = option_models(entry, registry)
            for section, model in models.items():
                chosen.table = chosen.table.with_options(section, model)
        except AdaptError as error:
            chosen.undecided.add(kind)
            message = f"{error.message}; {error.hint}" if error.hint else error.message
            place = path if nested.origin(path) else path[:1]
            chosen.problems.append(nested.problem(place, error.code or "plugin-broken", message))
        else:
            chosen.entries[kind] = entry
            chosen.models |= models
    return chosen


def option_models(entry: Entry, registry: Registry) -> dict[str, type[Options]]:
    """The option models of a plugin by section: its own, and for a task that of ``dataset``.

    Raises:
        AdaptError: one cannot be loaded, or is not what the core needs.
    """
    broken = f"the {entry.kind.value} {entry.spec.name} of {entry.distribution} is broken"
    models = {entry.kind.section: registry.options(entry.spec)}
    for name in CHOOSERS[entry.kind].model_fields:
        if name in models[entry.kind.section].model_fields:
            raise AdaptError(f"{broken}: its option {name!r} is the core's own")
    if isinstance(entry.spec, TaskSpec):
        models["dataset"] = registry.dataset_options(entry.spec)
        if not issubclass(models["dataset"], DatasetOptions):
            raise AdaptError(
                f"{broken}: {entry.spec.dataset} is no subclass of adapt_core.config.sections:DatasetOptions"
            )
    if fault := registry.why_not_usable(entry):
        raise AdaptError(f"{broken}: {fault}")
    return models


def _name(kind: Kind, nested: Nested, registry: Registry, method: Entry | None) -> str | None:
    """The name of the plugin of a kind, None for none. Raises AdaptError when one is needed and none is named."""
    section = nested.data.get(kind.section, {})
    name = section.get("name")
    if name is None and kind is Kind.METHOD and as_boolean(section.get("train_head")):
        return _head_method(registry)
    if name is None:
        if kind in (Kind.TASK, Kind.METHOD):
            raise AdaptError(_required(kind, registry), code="missing")
        if kind is Kind.SAVER and method is not None and not getattr(method.spec, "merges", True):
            return None  # an export is a merged model
        return _DEFAULTS.get(kind)
    if not isinstance(name, str):
        raise AdaptError(f"expected the name of a {kind.value}, got {shown(name)}", code="wrong-type")
    return None if kind in MAY_BE_NOTHING and normalise(name) == NOTHING else name


def _head_method(registry: Registry) -> str:
    """The method that trains the head and adds nothing."""
    specs = [entry.spec for entry in registry.entries(Kind.METHOD)]
    names = [spec.name for spec in specs if isinstance(spec, MethodSpec) and spec.head == "only"]
    if len(set(names)) != 1:
        found = " and ".join(names) or "none is installed"
        raise AdaptError(f"no method is named; methods that train only the head: {found}; name one", code="missing")
    return names[0]


def _required(kind: Kind, registry: Registry) -> str:
    if registry.names(kind):
        return f"a {kind.value} is required; there are: {registry.offers(kind)}"
    listed = [f"{one.name} (pip install {one.distribution})" for one in registry.catalogue() if one.kind is kind]
    offers = f"; there are: {', '.join(listed)}" if listed else ""
    return f"a {kind.value} is required, and none is installed{offers}"
