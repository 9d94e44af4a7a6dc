"""What can still be said of a configuration that has problems: the checks that depend on none of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from adapt_core.config.document import KeyPath
from adapt_core.config.flat import Nested
from adapt_core.config.messages import dotted
from adapt_core.config.partial import Undecided, faults, partial, without
from adapt_core.config.sections import CHOOSERS, CORE_SECTIONS, SECTIONS
from adapt_core.config.validate import Checked, together
from adapt_core.errors import Problem
from adapt_core.kinds import Kind
from adapt_core.options import NoOptions, Options
from adapt_core.plan.choose import Chosen
from adapt_core.plan.combinations import IMPOSSIBLE
from adapt_core.plan.run_plan import Choice
from adapt_core.plan.unknown_keys import Owners
from adapt_core.plugins.references import resolve
from adapt_core.plugins.registry import Registry

STILL_DECIDED = ("no-such-file", IMPOSSIBLE)
"""Codes of problems with values that are known all the same."""


class Decided:
    """What is known of a plan, or of options of which nothing is: whatever else is read raises :class:`Undecided`."""

    def __init__(self, **known: Any) -> None:
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        raise Undecided(name)


NOTHING_KNOWN = Decided()


def still_wrong(
    nested: Nested, chosen: Chosen, checked: Mapping[str, Checked], problems: Collection[Problem], registry: Registry
) -> Iterator[Problem]:
    """What else is wrong, of what is decided all the same: values of one section together, and sections together.

    Args:
        nested: the configuration.
        chosen: its plugins.
        checked: its sections.
        problems: what is known to be wrong of keys and single values.
        registry: the plugins there are.
    """
    undecided = _undecided(nested, problems) | _meant(nested, chosen, checked, registry)
    broken: list[Problem] = [*checked[""].rules, *checked["beside"].rules]
    for section, model, options in _sections(nested, chosen, checked, undecided):
        if options is None:
            broken += checked[section].rules
        elif options is not NOTHING_KNOWN:
            broken += [together(nested, section, fault) for fault in faults(model, options)]
    yield from broken
    undecided |= _undecided(nested, broken)
    known = {section: options for section, _, options in _sections(nested, chosen, checked, undecided)}
    plan = _plan(chosen, {section: NOTHING_KNOWN if each is None else each for section, each in known.items()})
    for entry in chosen.entries.values():
        if entry.spec.check is not None:
            for path, message in _decided(entry.spec.check, plan):
                yield nested.problem(path, IMPOSSIBLE, message)


def _undecided(nested: Nested, problems: Collection[Problem]) -> set[KeyPath]:
    """The options that problems are about; of a section that is no mapping, its name alone."""
    keys = {problem.key for problem in problems if problem.code not in STILL_DECIDED}
    found: set[KeyPath] = {(key,) for key in keys if key in SECTIONS and key not in nested.data}
    for path, origin in nested.origins.items():
        inside = (f"{origin.key}.", f"{origin.key}[")
        if path[0] not in SECTIONS or len(path) > 1:
            found |= {path[:2] for key in keys if key == origin.key or key.startswith(inside)}
    return found


def _meant(nested: Nested, chosen: Chosen, checked: Mapping[str, Checked], registry: Registry) -> set[KeyPath]:
    """The options that unknown keys may stand for, whose values nobody knows."""
    unknown = [("", dotted(origin.path)) for origin in nested.unknown]
    unknown += [(path[0], dotted(path[1:2])) for section in checked.values() for path in section.unknown]
    owners = Owners(chosen.entries, registry) if unknown else None
    return {path for section, key in unknown if owners for path in owners.meant(key, section)}


def _sections(
    nested: Nested, chosen: Chosen, checked: Mapping[str, Checked], undecided: Collection[KeyPath]
) -> Iterator[tuple[str, type[Options], Any]]:
    """Every section whose model is known, its options as far as they are decided; None where nothing can be said."""
    choosing = {kind.section: kind for kind in Kind}
    for section, done in checked.items():
        if section in ("", "beside") or choosing.get(section) in chosen.undecided:
            continue
        model = chosen.models.get(section, CORE_SECTIONS.get(section, NoOptions))
        here = {str(path[1]) for path in undecided if path[0] == section and len(path) == 2}
        if (section,) in undecided:
            yield section, model, NOTHING_KNOWN
        elif done.options is not None:
            yield section, model, without(done.options, here)
        else:
            chooser = CHOOSERS[choosing[section]].model_fields if section in choosing else {}
            given = {key: value for key, value in nested.data.get(section, {}).items() if key not in chooser}
            yield section, model, partial(model, given, here)


def _plan(chosen: Chosen, sections: Mapping[str, Any]) -> Any:
    """A plan as far as it is decided."""
    parts: dict[str, Any] = {kind.value: None for kind in Kind if kind not in chosen.undecided}
    for kind, entry in chosen.entries.items():
        parts[kind.value] = Choice(entry.spec, sections.get(kind.section, NOTHING_KNOWN))
    parts |= {name: sections.get(name, NOTHING_KNOWN) for name in CORE_SECTIONS}
    if chosen.library is not None:
        parts |= {"library": chosen.library, "engine": chosen.library.engine}
    return Decided(**parts)


def _decided(check: str, plan: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """What a plugin's check finds before it reads something that is undecided."""
    try:
        yield from resolve(check)(plan)
    # Broad: a check is a plugin's own code, and made for a plan that is whole.
    except Exception:  # noqa: BLE001
        return
