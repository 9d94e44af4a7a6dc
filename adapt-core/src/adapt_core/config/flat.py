"""Turns what the user wrote, flat or nested or both, into the nested form.

Which flat name stands for which nested key is read from the fields' own metadata (:func:`adapt_core.options.option`)
and from the plugins' switches, so that the two forms cannot drift apart. No plugin is named here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic_core import SchemaValidator, ValidationError, core_schema

from adapt_core.config.document import Document, KeyPath, Position
from adapt_core.config.messages import dotted, shown
from adapt_core.config.sections import CHOOSERS, CORE_SECTIONS, ROOT, SECTIONS, core_names
from adapt_core.errors import AdaptError, Problem
from adapt_core.kinds import Kind, MethodSpec, PluginSpec, normalise
from adapt_core.options import Options, flat_names

Path = tuple[str, ...]
"""A nested key: ``("training", "lr")``, or ``("seed",)`` for one of the top level."""

_BOOLEAN = SchemaValidator(core_schema.bool_schema())


@dataclass(frozen=True)
class Switch:
    """What a flat boolean parameter chooses when it is true.

    Attributes:
        kind: of the plugin.
        plugin: its name.
        reason: why nothing else can be chosen beside it.
    """

    kind: Kind
    plugin: str
    reason: str

    @property
    def path(self) -> Path:
        """The nested key that it sets."""
        return (self.kind.section, "name")


@dataclass(frozen=True)
class Table:
    """What the names at the top level of a configuration mean, beside the sections.

    Attributes:
        names: from the flat name to the nested key.
        switches: from the flat name to the plugins that say it chooses them; more than one is an error on use.
    """

    names: Mapping[str, Path]
    switches: Mapping[str, tuple[Switch, ...]]

    def with_options(self, section: str, model: type[Options]) -> Table:
        """The table with the fields of one more option model.

        Raises:
            AdaptError: a field's flat name means something else already.
        """
        names = dict(self.names)
        for name, info in model.model_fields.items():
            path: Path = (section, name) if section else (name,)
            for flat in flat_names(info):
                other = names.get(flat) or ((flat,) if flat in SECTIONS and path != (flat, "name") else None)
                if other not in (None, path) or flat in self.switches:
                    claimed = dotted(other) if other else "a switch"
                    raise AdaptError(f"the flat name {flat!r} of {dotted(path)} stands for {claimed} already")
                names[flat] = path
        return replace(self, names=names)


def core_table(specs: Iterable[tuple[Kind, PluginSpec]]) -> Table:
    """The table before any plugin is chosen: the core's own fields, and the switches of every installed plugin."""
    switches: dict[str, tuple[Switch, ...]] = {}
    taken = core_names()
    for kind, spec in specs:
        # One plugin must not make every configuration an error: the registry reports it.
        if spec.switch and spec.switch not in taken:
            switch = Switch(kind, spec.name, _reason(kind, spec))
            switches[spec.switch] = (*switches.get(spec.switch, ()), switch)
    table = Table({}, switches).with_options("", ROOT)
    for section, model in [*CORE_SECTIONS.items(), *((kind.section, model) for kind, model in CHOOSERS.items())]:
        table = table.with_options(section, model)
    return table


@dataclass(frozen=True)
class Origin:
    """Where the user wrote something: a document and the way to it there."""

    document: Document
    path: KeyPath

    @property
    def key(self) -> str:
        """The key as the user wrote it."""
        return dotted(self.path)

    def problem(self, code: str, message: str, suggestion: str | None = None) -> Problem:
        """A problem at this place, or at the nearest place around it that is known."""
        line, column = self.position
        return Problem(code, message, self.key, self.document.file, line, column, suggestion)

    @property
    def position(self) -> Position | tuple[None, None]:
        """Line and column of this place, or of the nearest place around it that is known."""
        found = (self.document.position(self.path[:length]) for length in range(len(self.path), 0, -1))
        return next((position for position in found if position), (None, None))

    def __str__(self) -> str:
        line = self.position[0]
        where = f" in line {line}" if line else f" on the {self.document.file}" if self.document.file else ""
        return f"{self.key}{where}"


@dataclass(frozen=True)
class Nested:
    """A configuration in its nested form.

    Attributes:
        file: the document's name.
        data: sections as dicts, and the keys of the top level.
        origins: where each nested key was written.
        denials: switches that were given as false.
        unknown: keys of the top level that are neither sections nor in the table.
        problems: parameters given twice, sections that are no mappings, switches that are no booleans.
    """

    file: str | None
    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    denials: tuple[tuple[Switch, Origin], ...] = ()
    unknown: tuple[Origin, ...] = ()
    problems: tuple[Problem, ...] = ()

    def origin(self, path: KeyPath) -> Origin | None:
        """Where a nested key was written, None where it, or the section that lacks it, was not."""
        for length in range(len(path), 0, -1):
            if found := self.origins.get(path[:length]):
                return Origin(found.document, (*found.path, *path[length:]))
        return None

    def problem(self, path: KeyPath, code: str, message: str, suggestion: str | None = None) -> Problem:
        """A problem with a nested key, at the place and under the name that the user gave it."""
        origin = self.origin(path)
        if origin:
            return origin.problem(code, message, suggestion)
        return Problem(code, message, dotted(path), self.file, suggestion=suggestion)


@dataclass(frozen=True)
class _Setting:
    """One parameter that the user gave, under its nested key; of a problem, the value is its code and message."""

    role: Literal["value", "denial", "section", "unknown", "problem"]
    path: Path
    origin: Origin
    value: Any = None
    switch: Switch | None = None


def to_nested(document: Document, table: Table, overrides: Document | None = None) -> Nested:
    """The nested form of a document. A pure function.

    An override replaces the document's value, whichever form either uses; a mapping is merged into a mapping.
    """
    settings = list(_settings(document, table))
    if overrides:
        over = list(_settings(overrides, table))
        settings = [setting for setting in settings if not any(_replaces(new, setting) for new in over)] + over
    return _join(document.file, settings)


def as_boolean(value: Any) -> bool | None:
    """The truth of a value as the option models see it (``"True"`` is true), None for what is none."""
    try:
        return bool(_BOOLEAN.validate_python(value))
    except ValidationError:
        return None


def _settings(document: Document, table: Table) -> Iterator[_Setting]:
    for key, value in document.data.items():
        origin = Origin(document, (key,))
        if key in SECTIONS:
            yield from _section(key, value, origin)
        elif key in ROOT.model_fields:
            yield _Setting("value", (key,), origin, value)
        elif key in table.names:
            yield _Setting("value", table.names[key], origin, value)
        elif key in table.switches:
            yield _switch(table.switches[key], origin, value)
        else:
            yield _Setting("unknown", (), origin, value)


def _section(section: str, value: Any, origin: Origin) -> Iterator[_Setting]:
    if isinstance(value, dict):
        yield _Setting("section", (section,), origin)
        for key, inner in value.items():
            yield _Setting("value", (section, key), Origin(origin.document, (section, key)), inner)
    elif isinstance(value, str) and "name" in SECTIONS[section].model_fields:
        yield _Setting("section", (section,), origin)
        yield _Setting("value", (section, "name"), origin, value)
    elif value is not None:
        message = f"this is a section: its keys stand below it, indented; got {shown(value)}"
        yield _Setting("problem", (section,), origin, ("wrong-type", message))


def _switch(switches: tuple[Switch, ...], origin: Origin, value: Any) -> _Setting:
    switch = switches[0]
    chosen = None if value is None else as_boolean(value)
    if chosen and len(switches) > 1:
        names = " and of ".join(each.plugin for each in switches)
        message = f"this is the switch of {names}; name the {switch.kind.value} that you want instead"
        return _Setting("problem", switch.path, origin, ("plugin-ambiguous", message))
    if chosen:
        return _Setting("value", switch.path, origin, switch.plugin, switch)
    if chosen is None and value is not None:
        return _Setting("problem", switch.path, origin, ("wrong-type", f"expected true or false, got {shown(value)}"))
    return _Setting("denial", switch.path, origin, value, switch)


def _replaces(new: _Setting, old: _Setting) -> bool:
    if new.role == "value" and new.path == old.path:
        return not (isinstance(new.value, dict) and isinstance(old.value, dict))
    return new.role in ("denial", "unknown") and new.origin.path == old.origin.path


def _join(file: str | None, settings: Iterable[_Setting]) -> Nested:
    data: dict[str, Any] = {}
    given: dict[Path, _Setting] = {}
    origins: dict[KeyPath, Origin] = {}
    denials: list[tuple[Switch, Origin]] = []
    unknown: list[Origin] = []
    problems: list[Problem] = []
    for setting in settings:
        path, value = setting.path, setting.value
        if setting.role == "unknown":
            unknown.append(setting.origin)
        elif setting.role == "problem":
            problems.append(setting.origin.problem(*value))
        elif setting.role == "section":
            origins.setdefault(path, setting.origin)
        elif setting.role == "denial":
            if setting.switch and value is not None:
                denials.append((setting.switch, setting.origin))
        elif path in given and setting.origin.document is given[path].origin.document:
            problems.append(_twice(given[path], setting))
        else:
            inner = data.setdefault(path[0], {}) if len(path) == 2 else data
            before = inner.get(path[-1])
            inner[path[-1]] = _merged(before, value) if path in given else value
            given.setdefault(path, setting)
            origins.update(_leaves(path, setting.origin, value) if path in origins else {path: setting.origin})
    return Nested(file, data, origins, tuple(denials), tuple(unknown), tuple(problems))


def _twice(first: _Setting, second: _Setting) -> Problem:
    """The problem of two parameters that set the same key."""
    chooses = any(first.path == (kind.section, "name") for kind in Kind)
    if not chooses or normalise(str(first.value)) == normalise(str(second.value)):
        return second.origin.problem("given-twice", f"the same parameter as {first.origin}; keep one of them")
    section = first.path[0]
    kind = next(kind for kind in Kind if kind.section == section)
    switch = first.switch or second.switch
    reason = switch.reason if switch else f"a run has one {kind.value}"
    return second.origin.problem(
        "given-twice",
        f"this chooses the {kind.value} {second.value}, and {first.origin} chooses {first.value}; {reason}; keep one",
    )


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: _merged(old.get(key), value) for key, value in new.items()}
    return new


def _leaves(path: KeyPath, origin: Origin, value: Any) -> dict[KeyPath, Origin]:
    """The origins of everything in a mapping that was merged into another."""
    if not isinstance(value, dict):
        return {path: origin}
    found: dict[KeyPath, Origin] = {}
    for key, inner in value.items():
        found |= _leaves((*path, key), Origin(origin.document, (*origin.path, key)), inner)
    return found


def _reason(kind: Kind, spec: PluginSpec) -> str:
    """Why a plugin cannot stand beside another of its kind."""
    if isinstance(spec, MethodSpec) and spec.head == "all":
        return f"{spec.name} trains every parameter of the model, which leaves nothing to another method"
    if isinstance(spec, MethodSpec) and spec.head == "only":
        return f"{spec.name} trains the model's own last layers and adds nothing"
    return f"a run has one {kind.value}"
