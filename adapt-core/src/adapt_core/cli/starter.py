"""The commented configuration file that ``adapt init`` writes, made out of the options' own metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapt_core.cli.explain import KINDS
from adapt_core.cli.option_info import OptionInfo, describe, yaml_value
from adapt_core.config.sections import (
    BESIDE,
    DEFAULT_LAUNCHER,
    DEFAULT_SAVER,
    NOTHING,
    SECTIONS,
    RootOptions,
)
from adapt_core.errors import UsageError
from adapt_core.kinds import Kind, MethodSpec, PluginSpec, QuantizerSpec, TaskSpec
from adapt_core.options import Options
from adapt_core.plan.choose import MAY_BE_NOTHING, option_models
from adapt_core.plugins.installation import install_command
from adapt_core.plugins.registry import Entry, Registry

HEADER = """\
# For {task}: {summary}
#
#   adapt check FILE    finds every mistake in this file
#   adapt run FILE      trains
#
# Every option of what is chosen here is there with its meaning. Behind a "#" stands a default: take the "#" and the
# space away to change it. adapt explain task {task} and adapt explain method {method} say more.
"""

WIDEST = 36
"""The last column in which the comments may begin."""


@dataclass(frozen=True)
class Line:
    """One option in the file.

    Attributes:
        key, value: as YAML.
        comment: what it means.
        active: whether it is set, or only shown.
    """

    key: str
    value: str
    comment: str
    active: bool = False


def starter(registry: Registry, task_name: str, method_name: str) -> str:
    """The text of a starter file.

    Raises:
        AdaptError: there is no such task or method, or neither, or an option model cannot be loaded.
    """
    entry, chosen = _found(registry, {Kind.TASK: task_name, Kind.METHOD: method_name})
    method = chosen.spec
    task, models = entry.spec, option_models(entry, registry)
    assert isinstance(task, TaskSpec)
    assert isinstance(method, MethodSpec)
    launcher = registry.get(Kind.LAUNCHER, DEFAULT_LAUNCHER).spec
    head = [] if method.head != "beside" else [one for one in describe(SECTIONS["method"]) if one.key in BESIDE]
    sections = {
        "task": _lines(describe(models["task"]), {"name": (task.name, task.summary)}),
        "model": _lines(describe(models["model"]), {"path": ("path/to/model", None)}),
        "dataset": _lines(describe(models["dataset"]), {"path": ("path/to/data", None)}),
        "method": _lines([*describe(registry.options(method)), *head], {"name": (method.name, method.summary)}),
        "quantization": _lines([], {"name": (NOTHING, _quantizers(registry, task, method))}),
        "training": _lines(
            describe(models["training"]),
            {
                "epochs": (_default(models["training"], "epochs"), None),
                "batch_size": (_default(models["training"], "batch_size"), None),
                "lr": (method.learning_rate_for(task.model_kind), _rates(method, task)),
            },
        ),
        "save": _export(registry, method),
        "launch": _lines(
            describe(registry.options(launcher)), {"name": (launcher.name, _others(registry, Kind.LAUNCHER, launcher))}
        ),
    }
    parts = [HEADER.format(task=task.name, summary=task.summary, method=method.name)]
    parts += ["\n".join([f"{name}:", *_shown(lines, "  ")]) + "\n" for name, lines in sections.items()]
    parts += ["\n".join(_shown(_lines(describe(RootOptions), {}), "")) + "\n"]
    return "\n".join(parts)


def _found(registry: Registry, names: Mapping[Kind, str]) -> list[Entry]:
    """The plugins of these names. Raises UsageError, which says all that is wrong."""
    found, wrong = [], []
    for kind, name in names.items():
        try:
            found.append(registry.get(kind, name))
        except UsageError as error:
            wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        raise UsageError("\n".join(map(str, wrong)))
    return found


def _rates(method: MethodSpec, task: TaskSpec) -> str:
    """The meaning of the learning rate, with the rate for every kind of model that the task takes."""
    lr = method.learning_rate_for(task.model_kind)
    others = [kind for kind in task.other_kinds if method.learning_rate_for(kind) != lr]
    text = f"Peak learning rate; {lr:g} is recommended for {method.name}"
    if not others:
        return f"{text}."
    rates = [f"{method.learning_rate_for(kind):g} on {KINDS[kind]}" for kind in others]
    return f"{text} on {KINDS[task.model_kind]}, {', '.join(rates)}."


def _export(registry: Registry, method: MethodSpec) -> list[Line]:
    """The section of the format of the export, which is a merged model."""
    if not method.merges:
        return _lines([], {"name": (NOTHING, f"No export: {method.name} merges into no weights; it is in model/.")})
    saver = registry.get(Kind.SAVER, DEFAULT_SAVER).spec
    return _lines(describe(registry.options(saver)), {"name": (saver.name, _others(registry, Kind.SAVER, saver))})


def _others(registry: Registry, kind: Kind, chosen: PluginSpec) -> str:
    """What a plugin is, and the names of the others of its kind."""
    names = [name for name in registry.names(kind) if name != chosen.name]
    names += [NOTHING] if kind in MAY_BE_NOTHING else []
    return f"{chosen.summary} Others: {', '.join(names)} (adapt explain {kind} NAME)." if names else chosen.summary


def _quantizers(registry: Registry, task: TaskSpec, method: MethodSpec) -> str:
    """What may stand in the place of no quantizer."""
    text = "The base model's weights as they are."
    specs = [entry.spec for entry in registry.entries(Kind.QUANTIZER)]
    able = [
        spec.name
        for spec in specs
        if isinstance(spec, QuantizerSpec)
        and spec.bits in method.quantization
        and {each.name for each in task.libraries} & set(spec.libraries)
    ]
    if able:
        return f"{text} In fewer bits: {', '.join(able)} (adapt explain quantizer NAME)."
    if specs:
        return f"{text} No quantizer that is installed goes with this task and this method."
    listed = [each.distribution for each in registry.catalogue() if each.kind is Kind.QUANTIZER]
    commands = " or ".join(install_command(each) for each in dict.fromkeys(listed))
    return f"{text} A quantizer comes with: {commands}." if commands else text


def _default(model: type[Options], key: str) -> object:
    return model.model_fields[key].default


def _lines(options: Iterable[OptionInfo], chosen: Mapping[str, tuple[object, str | None]]) -> list[Line]:
    """One line an option; those chosen are set, the plugin's name first."""
    described = list(options)
    keys = {option.key for option in described}
    lines = [
        Line(key, yaml_value(value), comment or "", True) for key, (value, comment) in chosen.items() if key not in keys
    ]
    for option in described:
        if option.key in chosen:
            value, comment = chosen[option.key]
            lines.append(Line(option.key, yaml_value(value), comment or option.meaning, True))
        elif option.required:
            lines.append(Line(option.key, "", f"required, {option.type}: {option.meaning}", True))
        else:
            lines.append(Line(option.key, option.default_text, option.meaning))
    return lines


def _shown(lines: list[Line], indent: str) -> list[str]:
    """The lines as YAML, their comments aligned."""
    texts = [f"{indent}{'' if line.active else '# '}{line.key}: {line.value}".rstrip() for line in lines]
    width = min(max(map(len, texts)), WIDEST)
    return [f"{text:{width}}  # {line.comment}" for text, line in zip(texts, lines, strict=True)]
