"""Rewrites a configuration in the nested form, with a comment on each key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapt_core.config.flat import Nested
from adapt_core.config.messages import dotted
from adapt_core.config.sections import CHOOSERS, ROOT, SECTIONS
from adapt_core.config.yaml_writer import to_commented_yaml
from adapt_core.kinds import Kind
from adapt_core.options import Options
from adapt_core.plan.build import examine
from adapt_core.plugins.registry import Registry


def convert(path: str | Path, registry: Registry | None = None) -> str:
    """The same configuration in the nested form: what the file gives and no more, each key below what it means.

    Args:
        path: a YAML or JSON file, in either form.
        registry: the plugins; by default those that are installed.

    Raises:
        ConfigError: the configuration has problems; one that has none can be converted.
    """
    found = examine(path, (), registry or Registry.load(), files_must_exist=False)
    canonical, nested = found.accepted().canonical(), found.nested
    models: dict[str, type[Options]] = {**SECTIONS, **found.chosen.models}
    data: dict[str, Any] = {}
    comments: dict[tuple[str, ...], str] = {}
    for section, model in models.items():
        given = nested.data.get(section, {})
        kind = next((kind for kind in Kind if kind.section == section), None)
        fields = {**(CHOOSERS[kind].model_fields if kind else {}), **model.model_fields}
        for key, info in fields.items():
            value = canonical[section].get(key)
            # A plugin is named whichever way it was chosen; what the method decides on the head is left to it.
            if key not in given and not (key == "name" and kind in (Kind.TASK, Kind.METHOD)):
                continue
            if (section, key) == ("method", "train_head") and value is None:
                continue
            data.setdefault(section, {})[key] = _as_written(given.get(key), value, is_name=bool(kind) and key == "name")
            comments[section, key] = _comment(str(info.description), (section, key), nested)
    for key, info in ROOT.model_fields.items():
        if key in nested.data:
            data[key] = canonical[key]
            comments[key,] = _comment(str(info.description), (key,), nested)
    return to_commented_yaml(data, comments)


def _as_written(given: Any, value: Any, *, is_name: bool) -> Any:
    """Text as the user has it (a home folder stays ``~``); booleans and numbers as what they are, not quoted."""
    return given if isinstance(given, str) and isinstance(value, str) and not is_name else value


def _comment(help: str, path: tuple[str, ...], nested: Nested) -> str:
    origin = nested.origins.get(path)
    was = origin.key if origin and origin.key not in (dotted(path), path[0], path[-1]) else ""
    return f"{help.rstrip('.')} (was {was})." if was else help
