"""Writes YAML that means the same under YAML 1.2's core schema and under PyYAML's older one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from adapt_core.config.yaml_reader import CORE_SCHEMA


class _Dumper(yaml.SafeDumper):
    """PyYAML's dumper, which quotes text that either schema would read as something else: ``no``, ``1e-4``."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _short_list(dumper: _Dumper, data: list[Any]) -> yaml.Node:
    on_one_line = not any(isinstance(item, dict | list) for item in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=on_one_line)


def _one_line(dumper: _Dumper, data: str) -> yaml.Node:
    """Text with line breaks of any kind in double quotes, in which all of them survive."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=None if data.isprintable() else '"')


_Dumper.add_representer(list, _short_list)
_Dumper.add_representer(str, _one_line)
for _tag, _form in CORE_SCHEMA:
    _Dumper.add_implicit_resolver(_tag, re.compile(f"^(?:{_form.pattern})$"), None)


def to_yaml(data: Any) -> str:
    """Plain data as YAML, keys in their order, lists of single values on one line."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return text.removesuffix("...\n")


def to_commented_yaml(data: Mapping[str, Any], comments: Mapping[tuple[str, ...], str]) -> str:
    """Sections and their keys as YAML, each key below its comment, if it has one.

    Args:
        data: the top level; mappings in it are sections.
        comments: by the path of the key, ``("training", "lr")``.
    """
    blocks = []
    for section, value in data.items():
        if not isinstance(value, Mapping):
            blocks.append(_entry((section,), value, comments))
        elif value:
            entries = [_entry((section, key), inner, comments) for key, inner in value.items()]
            blocks.append(_comment((section,), comments) + f"{section}:\n" + _indented("".join(entries)))
        else:
            blocks.append(_comment((section,), comments) + f"{section}: {{}}\n")
    return "\n".join(blocks)


def _entry(path: tuple[str, ...], value: Any, comments: Mapping[tuple[str, ...], str]) -> str:
    return _comment(path, comments) + to_yaml({path[-1]: value})


def _comment(path: tuple[str, ...], comments: Mapping[tuple[str, ...], str]) -> str:
    return "".join(f"# {line}\n" for line in comments.get(path, "").splitlines())


def _indented(text: str) -> str:
    return "".join(f"  {line}" if line.strip() else line for line in text.splitlines(keepends=True))
