"""The JSON Schema of a configuration, with which editors complete and check it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapt_core.config.sections import CHOOSERS, NOTHING, ROOT, SECTIONS
from adapt_core.errors import AdaptError
from adapt_core.kinds import Kind, PluginSpec
from adapt_core.options import LIBRARY_NAME, Options, flat_name, flat_names
from adapt_core.plan.choose import MAY_BE_NOTHING, all_option_models
from adapt_core.plugins.registry import Registry

Schema = dict[str, Any]

_REQUIRED = {
    "task": ("name",),
    "model": ("name", "path"),
    "dataset": ("name", "path"),
    "method": ("name", "train_head"),
}
"""The sections without which there is no run, and the fields of each that are enough when they are given flat."""

_AS_TEXT = {
    "boolean": "^([Tt]rue|TRUE|[Ff]alse|FALSE)$",
    "integer": r"^\s*[-+]?[0-9]+\s*$",
    "number": r"^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$",
}


@dataclass(frozen=True)
class _Plugin:
    """A plugin's spec and the schemas of its options, by section."""

    kind: Kind
    spec: PluginSpec
    fields: Mapping[str, Schema]


def json_schema(registry: Registry | None = None) -> Schema:
    """The schema, draft 2020-12, of configurations that use the installed plugins.

    It accepts both forms, and in each section the options of the plugin that the section names. What it cannot say
    (that files exist, that plugins fit together) is left to ``adapt check``.
    """
    registry = registry or Registry.load()
    defs: Schema = {}
    flat: dict[str, list[Schema]] = {}
    core = {section: _fields(model, section, defs) for section, model in SECTIONS.items()}
    for section, model in SECTIONS.items():
        _note_flat(flat, model, core[section])
    _note_flat(flat, ROOT, root := _fields(ROOT, "root", defs))
    plugins = []
    for entry in registry.entries():
        try:
            models = all_option_models(entry, registry)
        except AdaptError:
            continue  # A broken plugin has no options; `adapt plugins` says why.
        name = f"{entry.kind.value}.{entry.spec.name}"
        fields: dict[str, Schema] = {}
        for section, model in models:
            own = _fields(model, f"{name}.{section}", defs)
            fields[section] = fields.get(section, {}) | own
            _note_flat(flat, model, own)
        plugins.append(_Plugin(entry.kind, entry.spec, fields))
        if entry.spec.switch:
            switch = {"type": "boolean", "description": f"Chooses the {entry.kind.value} {entry.spec.name}."}
            flat.setdefault(entry.spec.switch, []).append(_lenient(switch))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Adapt configuration",
        "type": "object",
        "properties": {
            **{name: _either(schemas) for name, schemas in flat.items()},
            **{section: _section(section, core[section], plugins) for section in SECTIONS},
            **root,
        },
        "additionalProperties": False,
        "allOf": [*_required(plugins), *_of_tasks(plugins)],
        "$defs": defs,
    }


def _section(section: str, core: Schema, plugins: Sequence[_Plugin]) -> Schema:
    """A section: its keys, or the name alone. Each plugin brings its own keys."""
    own = [plugin for plugin in plugins if section in plugin.fields]
    kind = next((kind for kind in Kind if kind.section == section), None)
    everything = core | {name: schema for plugin in own for name, schema in plugin.fields[section].items()}
    short = [{"type": "string"}] if "name" in core else []
    if kind is None:
        return {"anyOf": [{"type": "object", "properties": everything, "additionalProperties": False}, *short]}
    names = _names(kind, [plugin.spec for plugin in own])
    named = {"name": {**names, "description": core["name"].get("description", "")}}
    rules = [
        {
            "if": {"properties": {"name": _name(plugin.spec)}, "required": ["name"]},
            "then": {"properties": {**core, **plugin.fields[section], **named}, "additionalProperties": False},
        }
        for plugin in own
    ]
    keys: Schema = {"type": "object", "properties": {**everything, **named}, "additionalProperties": False}
    return {"anyOf": [names, keys | ({"allOf": rules} if rules else {})]}


def _of_tasks(plugins: Iterable[_Plugin]) -> list[Schema]:
    """For each task, the keys that the sections of its data, models and training may have."""
    rules = []
    for plugin in plugins:
        if plugin.kind is Kind.TASK:
            name = _name(plugin.spec)
            inside = {"type": "object", "properties": {"name": name}, "required": ["name"]}
            flat = str(flat_name(CHOOSERS[Kind.TASK].model_fields["name"]))
            chosen = [
                {"properties": {"task": {"anyOf": [name, inside]}}, "required": ["task"]},
                {"properties": {flat: name}, "required": [flat]},
            ]
            only = {
                section: {"if": {"type": "object"}, "then": {"properties": fields, "additionalProperties": False}}
                for section, fields in plugin.fields.items()
                if section != plugin.kind.section
            }
            rules.append({"if": {"anyOf": chosen}, "then": {"properties": only}})
    return rules


def _required(plugins: Iterable[_Plugin]) -> list[Schema]:
    """That what a run needs is there, in either form."""
    rules = []
    for section, fields in _REQUIRED.items():
        flat: list[str | None] = [
            name for field in fields for name in flat_names(SECTIONS[section].model_fields[field])
        ]
        flat += [plugin.spec.switch for plugin in plugins if plugin.kind.section == section]
        rules.append({"anyOf": [{"required": [name]} for name in (section, *flat) if name]})
    return rules


def _fields(model: type[Options], owner: str, defs: Schema) -> Schema:
    """The schemas of an option model's fields. Models within it go to ``defs``."""
    schema = model.model_json_schema(ref_template=f"#/$defs/{owner}.{{model}}")
    defs.update({f"{owner}.{name}": _lenient(inner) for name, inner in schema.get("$defs", {}).items()})
    return {name: _lenient(field) for name, field in schema.get("properties", {}).items()}


def _note_flat(flat: dict[str, list[Schema]], model: type[Options], fields: Schema) -> None:
    for name, info in model.model_fields.items():
        for flat_as in flat_names(info):
            if fields[name] not in flat.setdefault(flat_as, []):
                flat[flat_as].append(fields[name])


def _lenient(schema: Any) -> Any:
    """The schema that also takes booleans and numbers in quotes, as the option models do; without pydantic's titles."""
    if isinstance(schema, list):
        return [_lenient(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: {name: _lenient(inner) for name, inner in value.items()} if key == "properties" else _lenient(value)
        for key, value in schema.items()
        if key not in ("flat", LIBRARY_NAME, "default", "examples", "enum", "const")
        and not (key == "title" and isinstance(value, str))
    }
    found |= {key: schema[key] for key in ("default", "examples", "enum", "const") if key in schema}
    if (kind := schema.get("type")) in _AS_TEXT:
        found |= {"type": [kind, "string"], "pattern": _AS_TEXT[kind]}
    return found


def _either(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _names(kind: Kind, specs: Iterable[PluginSpec]) -> Schema:
    nothing: list[Schema] = [{"const": NOTHING}] if kind in MAY_BE_NOTHING else []
    names = [*(_name(spec) for spec in specs), *nothing]
    return {"anyOf": names} if names else {"not": {}}


def _name(spec: PluginSpec) -> Schema:
    """A plugin's name: as it is written, to be completed, and in any case, to be accepted."""
    names = (spec.name, *spec.aliases)
    pattern = "|".join("".join(_any_case(letter) for letter in name) for name in names)
    return {
        "anyOf": [{"const": spec.name, "description": spec.summary}, {"type": "string", "pattern": f"^({pattern})$"}]
    }


def _any_case(letter: str) -> str:
    if letter == "_":
        return "[-_ ]"
    return f"[{letter.lower()}{letter.upper()}]" if letter.isalpha() else re.escape(letter)
