"""Finds the plugins that a configuration names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from adapt_core.config.flat import Nested, Table, as_boolean
from adapt_core.config.messages import shown
from adapt_core.config.sections import CHOOSERS, CORE_SECTIONS, DEFAULT_LAUNCHER, DEFAULT_SAVER, NOTHING
from adapt_core.errors import AdaptError, Problem
from adapt_core.kinds import Kind, Library, MethodSpec, TaskSpec, normalise
from adapt_core.options import Options, is_none
from adapt_core.plugins.installation import install_command
from adapt_core.plugins.registry import Entry, Registry, missing_modules, option_model

_DEFAULTS = {Kind.SAVER: DEFAULT_SAVER, Kind.LAUNCHER: DEFAULT_LAUNCHER}
MAY_BE_NOTHING = (Kind.QUANTIZER, Kind.SAVER)
"""The kinds of which a configuration may say that it wants none."""


@dataclass
class Chosen:
    """The plugins of a configuration.

    Attributes:
        entries: by kind; a kind that chooses none has no entry.
        models: the option models that they bring, by section.
        library: where the task's model comes from; None without a task, or where it has no such library.
        undecided: kinds whose plugin is missing, unknown or broken; what belongs to it cannot be judged.
        problems: why.
        table: the flat names, theirs included.
    """

    table: Table
    entries: dict[Kind, Entry] = field(default_factory=dict)
    models: dict[str, type[Options]] = field(default_factory=dict)
    library: Library | None = None
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
            entry = _variant(nested, registry, registry.get(kind, name))
            if isinstance(entry.spec, TaskSpec):
                chosen.library = _library(nested, entry.spec)
                chosen.problems += _not_installed(nested, chosen.library)
            models = option_models(entry, registry, chosen.library)
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


def option_models(entry: Entry, registry: Registry, library: Library | None = None) -> dict[str, type[Options]]:
    """The option models of a plugin by section: its own, and for a task those of its data, models and training.

    Args:
        entry: the plugin.
        registry: which loads them.
        library: where a task's model comes from; None for the first of its libraries.

    Raises:
        AdaptError: one cannot be loaded, or is not what the core needs, or a package is missing.
    """
    whose = f"the {entry.kind.value} {entry.spec.name} of {entry.distribution}"
    if missing := registry.missing(entry.spec):
        raise AdaptError(f"{whose} cannot be used: {missing}", code="package-missing")
    models = {entry.kind.section: registry.options(entry.spec)}
    for name in CHOOSERS[entry.kind].model_fields:
        if name in models[entry.kind.section].model_fields:
            raise AdaptError(f"{whose} is broken: its option {name!r} is the core's own")
    if isinstance(entry.spec, TaskSpec):
        library = library or entry.spec.libraries[0]
        references = {"dataset": entry.spec.dataset, "model": library.model, "training": library.engine.training}
        for section, reference in references.items():
            models[section] = option_model(reference)
            if not issubclass(models[section], CORE_SECTIONS[section]):
                core = CORE_SECTIONS[section].__name__
                raise AdaptError(f"{whose} is broken: {reference} is no subclass of adapt_core.config:{core}")
    if fault := registry.why_not_usable(entry):
        raise AdaptError(f"{whose} is broken: {fault}")
    return models


def all_option_models(entry: Entry, registry: Registry) -> list[tuple[str, type[Options]]]:
    """The same for every library of a task, each model once, with its section."""
    libraries = entry.spec.libraries if isinstance(entry.spec, TaskSpec) else (None,)
    found = [each for library in libraries for each in option_models(entry, registry, library).items()]
    return list(dict.fromkeys(found))


def _variant(nested: Nested, registry: Registry, entry: Entry) -> Entry:
    """The task that a parameter makes of the one that is named (``subtask: ner``), or the plugin itself."""
    if entry.kind is Kind.TASK:
        of_task = nested.data.get("task", {})
        at_top = {each.path[0]: each.document.data.get(each.path[0]) for each in nested.unknown if len(each.path) == 1}
        given = {name for name, value in {**at_top, **of_task}.items() if not is_none(value)}
        for other in registry.entries(Kind.TASK):
            of = getattr(other.spec, "variant_of", ())
            if of and of[0] == entry.spec.name and of[1] in given:
                return other
    return entry


def _library(nested: Nested, task: TaskSpec) -> Library | None:
    """Where the model comes from; None where the task has no such library."""
    name = nested.data.get("model", {}).get("library")
    return task.library(name if isinstance(name, str) else None)


def _not_installed(nested: Nested, library: Library | None) -> Iterator[Problem]:
    """What a library takes that is not there. Its options are known all the same."""
    if library and (missing := missing_modules(library.requires, library.install)):
        path = ("model", "library") if nested.data.get("model", {}).get("library") else ("task", "name")
        place = path if nested.origin(path) else path[:1]
        yield nested.problem(place, "package-missing", f"models of {library.name} cannot be used: {missing}")


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
    listed: dict[str, list[str]] = {}
    for one in registry.catalogue():
        if one.kind is kind:
            listed.setdefault(one.distribution, []).append(one.name)
    each = [f"{', '.join(names)} ({install_command(distribution)})" for distribution, names in listed.items()]
    offers = f"; there are: {'; '.join(each)}" if each else ""
    return f"a {kind.value} is required, and none is installed{offers}"
