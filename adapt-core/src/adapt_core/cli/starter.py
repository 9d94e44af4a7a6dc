"""The commented configuration file that ``adapt init`` writes, made out of the options' own metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapt_core.cli.option_info import OptionInfo, describe, yaml_value
from adapt_core.config.sections import (
    BESIDE,
    DEFAULT_LAUNCHER,
    DEFAULT_SAVER,
    SECTIONS,
    RootOptions,
)
from adapt_core.kinds import Kind, MethodSpec, TaskSpec
from adapt_core.options import Options
from adapt_core.plan.choose import option_models
from adapt_core.plugins.registry import Registry

HEADER = """\
# For {task}: {summary}
#
#   adapt check FILE    finds every mistake in this file
#   adapt run FILE      trains
#
# Every option is here with its meaning. Behind a "#" stands a default: take the "#" and the space away to change it.
# The commands adapt explain task {task} and adapt explain method {method} say more.
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
        AdaptError: there is no such task or method, or its option model cannot be loaded.
    """
    entry, method = registry.get(Kind.TASK, task_name), registry.get(Kind.METHOD, method_name).spec
    task, models = entry.spec, option_models(entry, registry)
    assert isinstance(task, TaskSpec)
    assert isinstance(method, MethodSpec)
    saver = registry.get(Kind.SAVER, DEFAULT_SAVER).spec
    launcher = registry.get(Kind.LAUNCHER, DEFAULT_LAUNCHER).spec
    lr = method.learning_rate_for(task.model_kind)
    head = [] if method.head != "beside" else [one for one in describe(SECTIONS["method"]) if one.key in BESIDE]
    sections = {
        "task": _lines(describe(models["task"]), {"name": (task.name, task.summary)}),
        "model": _lines(describe(models["model"]), {"path": ("path/to/model", None)}),
        "dataset": _lines(describe(models["dataset"]), {"path": ("path/to/data", None)}),
        "method": _lines([*describe(registry.options(method)), *head], {"name": (method.name, method.summary)}),
        "training": _lines(
            describe(models["training"]),
            {
                "epochs": (_default(models["training"], "epochs"), None),
                "batch_size": (_default(models["training"], "batch_size"), None),
                "lr": (lr, f"Peak learning rate; {lr:g} is recommended for {method.name}."),
            },
        ),
        "save": _lines(describe(registry.options(saver)), {"name": (saver.name, saver.summary)}),
        "launch": _lines(describe(registry.options(launcher)), {"name": (launcher.name, launcher.summary)}),
    }
    parts = [HEADER.format(task=task.name, summary=task.summary, method=method.name)]
    parts += ["\n".join([f"{name}:", *_shown(lines, "  ")]) + "\n" for name, lines in sections.items()]
    parts += ["\n".join(_shown(_lines(describe(RootOptions), {}), "")) + "\n"]
    return "\n".join(parts)


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
