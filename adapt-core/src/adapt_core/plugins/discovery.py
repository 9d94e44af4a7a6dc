"""What installed distributions offer through the entry-point group ``adapt``, one entry point at a time."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator
from typing import Any

import pluggy

from adapt_core import hookspecs
from adapt_core.errors import AdaptError
from adapt_core.kinds import SPEC_TYPES, Kind, PluginSpec, normalise
from adapt_core.utils.spelling import nearest

HOOKS: dict[str, Kind] = {kind.hook: kind for kind in Kind}


def entry_points() -> Iterator[tuple[importlib.metadata.EntryPoint, str, str]]:
    """The entry points of group ``adapt`` with name and version of their distribution, by distribution and name.

    ``importlib.metadata.entry_points`` parses those of every distribution, which takes longer than all else here.
    """
    found: dict[str, list[tuple[importlib.metadata.EntryPoint, str, str]]] = {}
    for distribution in importlib.metadata.distributions():
        if f"[{hookspecs.GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
            continue
        name, version = _identity(distribution)
        points = distribution.entry_points.select(group=hookspecs.GROUP)
        # Where a distribution is installed twice, the first on the path is the one that is imported.
        found.setdefault(normalise(name), [(point, name, version) for point in sorted(points)])
    for name in sorted(found):
        yield from found[name]


def _identity(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    """Its name and version. ``distribution.metadata`` would load the parser of e-mail for these two lines."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    headers = dict(line.split(": ", 1) for line in text.split("\n\n", 1)[0].splitlines() if ": " in line)
    return headers.get("Name", "unknown").strip(), headers.get("Version", "").strip()


def offers(point: importlib.metadata.EntryPoint) -> Iterator[tuple[Kind, PluginSpec]]:
    """What the hooks of one entry point return. It gets a plugin manager to itself, so that its faults hurt no other.

    Raises:
        AdaptError: a hook is mistyped, unmarked or returns something else than specs.
    """
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    plugin = point.load()
    manager.register(plugin)
    hooks = [caller.name for caller in manager.get_hookcallers(plugin) or ()]
    for name in hooks:
        if name not in HOOKS:
            raise AdaptError(f"it implements the hook {name!r}, which does not exist{nearest(name, HOOKS)}")
    for name, kind in HOOKS.items():
        if name in hooks:
            results = getattr(manager.hook, name)()  # without what is None
            if not results:
                raise AdaptError(f"its {name} returns None: have it yield its specs, or return a list of them")
            yield from ((kind, spec) for spec in _specs(name, kind, results))
        elif callable(getattr(plugin, name, None)):
            raise AdaptError(f"its {name} is not marked with @hookimpl (from adapt_core.hookspecs)")
    if not hooks:
        raise AdaptError(f"it implements none of the hooks {', '.join(HOOKS)}")


def _specs(hook: str, kind: Kind, results: list[Any]) -> Iterator[PluginSpec]:
    """The specs in a hook's results. Raises AdaptError for anything else."""
    expected = SPEC_TYPES[kind]
    for result in results:
        if isinstance(result, PluginSpec) or not isinstance(result, Iterable):
            raise AdaptError(f"its {hook} must yield or return a list of {expected.__name__}, not a {_type(result)}")
        for spec in result:
            if not isinstance(spec, expected):
                raise AdaptError(f"its {hook} must offer {expected.__name__} objects, not a {_type(spec)}")
            yield spec


def _type(value: object) -> str:
    return type(value).__name__


def reason(error: BaseException) -> str:
    """An exception in one line. Adapt's own speak for themselves."""
    if isinstance(error, AdaptError):
        return error.message
    return f"{_type(error)}: {error}".replace("\n", " ").rstrip(": ")
