"""Joins a configuration with the registry into a frozen, picklable plan. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from adapt_core.config.file import Document, parse_overrides, read
from adapt_core.config.flat import Nested, core_table, to_nested
from adapt_core.config.messages import dotted
from adapt_core.config.sections import (
    BESIDE,
    CHOOSERS,
    CORE_SECTIONS,
    ROOT,
    SECTIONS,
    DatasetOptions,
    MethodSection,
    ModelOptions,
    RootOptions,
)
from adapt_core.config.validate import Checked, validate
from adapt_core.errors import ConfigError, Problem
from adapt_core.kinds import Kind
from adapt_core.options import NoOptions, Options, is_path
from adapt_core.plan.choose import Chosen, choose
from adapt_core.plan.combinations import IMPOSSIBLE, impossible, missing_files
from adapt_core.plan.run_plan import Choice, RunPlan
from adapt_core.plan.undecided import still_wrong
from adapt_core.plan.unknown_keys import Owners
from adapt_core.plugins.references import resolve
from adapt_core.plugins.registry import Registry

AnyOptions = TypeVar("AnyOptions", bound=Options)

Source = str | Path | Mapping[str, Any]
"""A configuration: the name of its file, or its data."""


def build_plan(
    source: Source,
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
    *,
    files_must_exist: bool = True,
) -> RunPlan:
    """Reads, checks and completes a configuration.

    Args:
        source: a YAML or JSON file, or the same as a mapping.
        overrides: ``key=value`` with dotted or flat keys; they replace what the source says.
        registry: the plugins; by default those that are installed.
        files_must_exist: refuse local data and models that are not there; false for a run that is over.

    Raises:
        ConfigError: with every problem that the configuration has.
    """
    return examine(source, overrides, registry or Registry.load(), files_must_exist=files_must_exist).accepted()


def check(source: Source, overrides: Sequence[str] = (), registry: Registry | None = None) -> list[Problem]:
    """The problems of a configuration, by line; none when :func:`build_plan` accepts it."""
    try:
        return list(examine(source, overrides, registry or Registry.load()).problems)
    except ConfigError as error:
        return list(error.problems)


@dataclass(frozen=True)
class Examined:
    """What was found out about a configuration.

    Attributes:
        nested: what it says, in the nested form.
        chosen: the plugins that it names.
        problems: what is wrong with it.
        plan: None when there are problems.
    """

    nested: Nested
    chosen: Chosen
    problems: tuple[Problem, ...]
    plan: RunPlan | None

    def accepted(self) -> RunPlan:
        """The plan. Raises ConfigError when there are problems."""
        if self.plan is None:
            raise ConfigError(self.problems)
        return self.plan


def examine(source: Source, overrides: Sequence[str], registry: Registry, *, files_must_exist: bool = True) -> Examined:
    """Everything that :func:`build_plan` finds. Raises ConfigError when the source or the overrides cannot be read."""
    document = Document.from_mapping(source) if isinstance(source, Mapping) else read(source)
    over = parse_overrides(overrides)
    table = core_table((entry.kind, entry.spec) for entry in registry.entries())
    chosen = choose(to_nested(document, table, over), table, registry)
    nested = to_nested(document, chosen.table, over)
    checked = _validated(chosen, nested)
    problems = [
        *document.problems,
        *nested.problems,
        *chosen.problems,
        *(problem for section in checked.values() for problem in section.problems),
        *_unknown(nested, chosen, checked, registry),
        *impossible(nested, chosen.entries, chosen.library, registry),
        *(missing_files(nested, _with_files(chosen)) if files_must_exist else ()),
    ]
    options = {section: one.options for section, one in checked.items()}
    whole = not problems and not any(section.rules for section in checked.values())
    plan = _plan(chosen, options, document.file) if whole else None
    if plan and (problems := list(_checked(plan, nested))):
        plan = None
    elif plan is None:
        problems += still_wrong(nested, chosen, checked, problems, registry)
    return Examined(nested, chosen, _ordered(problems, document.file), plan)


def _with_files(chosen: Chosen) -> dict[str, type[Options]]:
    """The option models of the sections that may name local files."""
    return {section: chosen.models.get(section, CORE_SECTIONS[section]) for section in ("model", "dataset")}


def _validated(chosen: Chosen, nested: Nested) -> dict[str, Checked]:
    """Every section held to its model. ``""`` is the top level, ``beside`` the core's own part of ``method``."""
    found = {
        "": validate(ROOT, nested, "", set(ROOT.model_fields)),
        "beside": validate(MethodSection, nested, "method", set(BESIDE)),
    }
    for section, model in CORE_SECTIONS.items():
        # Without its task, nobody knows what else the section may hold.
        keys = set(model.model_fields) if Kind.TASK in chosen.undecided else None
        found[section] = validate(chosen.models.get(section, model), nested, section, keys)
    for kind in Kind:
        if kind not in chosen.undecided:
            keys = set(nested.data.get(kind.section, {})) - set(CHOOSERS[kind].model_fields)
            # Without a plugin, the section has no keys but its name.
            found[kind.section] = validate(chosen.models.get(kind.section, NoOptions), nested, kind.section, keys)
    return found


def _checked(plan: RunPlan, nested: Nested) -> Iterator[Problem]:
    """What the chosen plugins say of the whole."""
    for choice in plan.choices:
        if choice.spec.check is not None:
            for path, message in resolve(choice.spec.check)(plan):
                yield nested.problem(path, IMPOSSIBLE, message)


def _unknown(nested: Nested, chosen: Chosen, checked: Mapping[str, Checked], registry: Registry) -> list[Problem]:
    """The unknown keys, each with whose it may be."""
    paths = [path for section in checked.values() for path in section.unknown]
    if not paths and not nested.unknown:
        return []
    owners = Owners(chosen.entries, registry)
    problems = []
    for origin in nested.unknown:
        key = dotted(origin.path)
        if not any(owner.kind in chosen.undecided for owner in owners.elsewhere(key)):
            valid = (*SECTIONS, *ROOT.model_fields, *chosen.table.names, *chosen.table.switches)
            problems.append(origin.problem(*owners.explain(key, "", valid)))
    for section, *inner in paths:
        key = dotted((inner[-1],))
        core = SECTIONS[section].model_fields
        keys = _keys(chosen.models.get(section, SECTIONS[section]), inner[:-1])
        explained = owners.explain(key, section, {*keys, *core} if len(inner) == 1 else keys)
        problems.append(nested.problem((section, *inner), *explained))
    return problems


def _keys(model: Any, path: Sequence[Any]) -> tuple[str, ...]:
    """The keys of the model that a path leads to; none where it leads into something else."""
    for part in path:
        info = model.model_fields.get(part) if isinstance(part, str) else None
        model = info.annotation if info else None
        if not (isinstance(model, type) and issubclass(model, Options)):
            return ()
    return tuple(model.model_fields)


def _plan(chosen: Chosen, sections: Mapping[str, Any], file: str | None) -> RunPlan:
    root: RootOptions = sections[""]
    library = chosen.library
    assert library is not None
    choices = {kind: Choice(entry.spec, sections[kind.section]) for kind, entry in chosen.entries.items()}
    task, method = choices[Kind.TASK], choices[Kind.METHOD]
    name = Path(file).stem if file else f"{task.spec.name}-{method.spec.name}"
    model: ModelOptions = sections["model"]
    dataset: DatasetOptions = sections["dataset"]
    beside: MethodSection = sections["beside"]
    return RunPlan(
        task=task,
        method=method,
        quantizer=choices.get(Kind.QUANTIZER),
        saver=choices.get(Kind.SAVER),
        launcher=choices[Kind.LAUNCHER],
        library=library,
        model=_absolute(model.model_copy(update={"library": library.name})),
        dataset=_absolute(dataset),
        training=sections["training"],
        train_head=beside.train_head if method.spec.head == "beside" else None,
        train_batch_norm=beside.train_batch_norm,
        seed=root.seed,
        output_dir=root.output_dir or f"runs/{name}",
    )


def _absolute(options: AnyOptions) -> AnyOptions:
    """The options with local paths made absolute: a run is also used from other folders."""
    paths = {name: getattr(options, name) for name, info in type(options).model_fields.items() if is_path(info)}
    return options.model_copy(
        update={name: str(Path(path).absolute()) for name, path in paths.items() if isinstance(path, str)}
    )


def _ordered(problems: list[Problem], file: str | None) -> tuple[Problem, ...]:
    """The problems in the order of the file, those of the overrides last."""
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda problem: (problem.file != file, problem.line or 0, problem.column or 0)))
