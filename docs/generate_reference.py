"""Writes pages out of the installed packages: commands, configuration and plugins, and what works with what.

python docs/generate_reference.py            writes the pages
python docs/generate_reference.py --check    exits with 1 and names the pages that are out of date
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from compatibility import code, compatibility, grid

from adapt_core.cli.app import COMMANDS, app
from adapt_core.cli.explain import PREDICTION
from adapt_core.cli.option_info import describe, yaml_value
from adapt_core.config.sections import DatasetOptions, MethodSection, ModelOptions, RootOptions
from adapt_core.engines.trainer.options import TrainerOptions
from adapt_core.errors import CODES
from adapt_core.options import Options

FOLDER = Path(__file__).parent
GENERATED = "<!-- Written by docs/generate_reference.py: do not edit. -->\n"
WIDTH = 100  # columns of the help texts

SECTIONS: dict[str, tuple[str, type[Options]]] = {
    "The top level": ("Keys beside the sections.", RootOptions),
    "model": ("The pretrained model to start from.", ModelOptions),
    "dataset": ("The data. Tasks add to this section: see [plugins](plugins.md).", DatasetOptions),
    "method": ("The method of fine-tuning, with its own options: see [plugins](plugins.md).", MethodSection),
    "training": ("How to train, under the engine `trainer`.", TrainerOptions),
}

CORE = {section: [asdict(option) for option in describe(model)] for section, (_, model) in SECTIONS.items()}
"""What the page of the configuration has."""


def commands_page() -> str:
    """Every command's help."""
    parts = ["# Commands"]
    for command in ("", *COMMANDS):
        text = _adapt(*command.split(), "--help")
        parts.append(f"## `{f'adapt {command}'.strip()}`\n\n```text\n{text.rstrip()}\n```")
    return _page(parts)


def configuration_page() -> str:
    """The sections that are the core's."""
    parts = [
        "# Configuration",
        "YAML or JSON, nested as below. An option with a flat name is also accepted under that name at the top level "
        "of the file; `adapt convert FILE` rewrites the flat form as the nested one. The sections `task`, "
        "`quantization`, `save` and `launch` name a plugin and hold its options: see [plugins](plugins.md).",
    ]
    for section, (text, model) in SECTIONS.items():
        title = section if section.startswith("The") else f"`{section}`"
        parts += [f"## {title}", text, _table(asdict(option) for option in describe(model))]
    parts += [
        "## Codes of problems",
        "What `adapt check FILE --json` gives for each problem, beside its words, which may change.",
        grid(("code", "meaning"), [(code(name), meaning) for name, meaning in CODES.items()]),
    ]
    return _page(parts)


def plugins_page() -> str:
    """Every plugin of Adapt's own packages that holds one, with its options."""
    parts = ["# Plugins", "Those of Adapt's own packages. `adapt plugins` lists what is installed."]
    rows = json.loads(_adapt("plugins", "--json"))
    for row in rows:
        if row["status"] != "ok":
            continue
        plugin = json.loads(_adapt("explain", row["kind"], row["name"], "--json"))
        parts.append(
            f"## {plugin['kind']} `{plugin['name']}`\n\n{plugin['summary']} Provided by {plugin['distribution']}."
        )
        facts = {"also named": plugin["aliases"], "also chosen by": plugin["switch"], **plugin["works_with"]}
        parts.append("\n".join(f"- {name.replace('_', ' ')}: {_fact(fact)}" for name, fact in facts.items() if fact))
        for section, options in plugin["options"].items():
            core = {option["key"] for option in CORE.get(section, ())}  # which stand on the page of the configuration
            own = [option for option in options if option["key"] not in core]
            where = (
                "Of a prediction (`adapt predict RUN -O NAME=VALUE`)"
                if section == PREDICTION
                else f"In the section `{section}`"
            )
            parts += [f"{where}:", _table(own)] if own else []
    parts.append(
        "## Further tuners of PEFT\n\nBy PEFT's own names and with its own options (`adapt explain method NAME`). They "
        "need more than a configuration gives, or no test has run them: "
        + ", ".join(code(row["name"]) for row in rows if row["status"] in ("untested", "expert"))
        + "."
    )
    return _page(parts)


def compatibility_page() -> str:
    """What works with what."""
    return _page(compatibility())


PAGES = {
    "reference/commands.md": commands_page,
    "reference/configuration.md": configuration_page,
    "reference/plugins.md": plugins_page,
    "compatibility.md": compatibility_page,
}


def main(arguments: list[str]) -> int:
    """Writes the pages, or with ``--check`` compares them; returns the exit code."""
    pages = {FOLDER / name: make() for name, make in PAGES.items()}
    if arguments == ["--check"]:
        stale = [path for path, text in pages.items() if not path.is_file() or path.read_text("utf-8") != text]
        for path in stale:
            print(f"{path.name} is out of date: run python docs/generate_reference.py")
        return 1 if stale else 0
    for path, text in pages.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return 0


def _adapt(*arguments: str) -> str:
    """What a command prints. Raises the error that it ends with."""
    result = CliRunner().invoke(app, arguments, prog_name="adapt", terminal_width=WIDTH, catch_exceptions=False)
    if result.exit_code:
        raise RuntimeError(f"adapt {' '.join(arguments)} failed: {result.output}")
    return result.stdout


def _table(options: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for option in options:
        default = "required" if option["required"] else code(yaml_value(option["default"]))
        flat = code(option["flat"]) if option["flat"] else ""
        rows.append((code(option["key"]), option["type"], default, flat, option["meaning"]))
    return grid(("option", "type", "default", "flat name", "meaning"), rows)


def _fact(fact: Any) -> str:
    if isinstance(fact, dict) and "engine" not in fact:
        return ", ".join(f"{_fact(value)} for {name}" for name, value in fact.items())
    if isinstance(fact, dict):  # a library
        return f"{code(fact['name'])} (engine {code(fact['engine'])})"
    return ", ".join(map(_fact, fact)) if isinstance(fact, list) else code(str(fact))


def _page(parts: Iterable[str]) -> str:
    return GENERATED + "\n" + "\n\n".join(part for part in parts if part) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
