"""The commands that compute nothing start without the heavy libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_distributions import install, task_plugin

HEAVY = ("torch", "transformers", "peft", "accelerate", "datasets", "numpy", "pandas", "pyarrow", "jinja2", "sklearn")
CONFIG = "task: tested\nmodel: {path: model}\ndataset: {path: data.csv}\nmethod: {name: lora, r: 4}\nBATCH: 3\n"

COMMANDS = (
    ("--version",),
    ("run", "--help"),
    ("plugins", "--json"),
    ("check", "good.yaml"),
    ("check", "wrong.yaml", "--json"),
    ("convert", "good.yaml"),
    ("schema",),
    ("init", "tested"),
    ("explain", "task", "tested"),
    ("explain", "method", "lora"),
    ("run", "wrong.yaml"),
    ("eval", "nowhere"),
    ("predict", "nowhere", "a text"),
)

PROBE = f"""
import json, sys
from adapt_core.cli.app import command_line
for arguments in json.loads(sys.argv[1]):
    before = set(sys.modules)
    code = command_line(arguments)
    heavy = [name for name in {HEAVY!r} if name in sys.modules and name not in before]
    light = [name for name in ("rich", "pydantic") if name in sys.modules]
    print(json.dumps([code, heavy, light]), file=sys.stderr)
"""


def probe(folder: Path, *commands: Sequence[str]) -> list[tuple[int, list[str], list[str]]]:
    """Runs commands in a new interpreter, one after the other.

    Returns:
        Of each its exit code, the heavy libraries that it imported, and which of rich and pydantic are there since.
    """
    program = [sys.executable, "-c", PROBE, json.dumps(commands)]
    done = subprocess.run(program, capture_output=True, text=True, cwd=folder, check=True)
    found = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("[")]
    assert len(found) == len(commands), done.stderr
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration that has one mistake, and an installed task."""
    here = tmp_path_factory.mktemp("start-up")
    install(here, "tested-dist", "1.0", task_plugin("tested"), {"tested": "tested_plugin"})
    (here / "model").mkdir()
    (here / "data.csv").write_text("text,label\n", encoding="utf-8")
    (here / "wrong.yaml").write_text(CONFIG, encoding="utf-8")
    (here / "good.yaml").write_text(CONFIG.replace("BATCH:", "BATCH_SIZE:"), encoding="utf-8")
    return here


def test_they_import_nothing_heavy(folder: Path) -> None:
    found = probe(folder, *COMMANDS)
    assert {command: heavy for command, (_, heavy, _) in zip(COMMANDS, found, strict=True) if heavy} == {}
    codes = [2 if {"wrong.yaml", "nowhere"} & set(command) else 0 for command in COMMANDS]
    assert [code for code, _, _ in found] == codes


def test_help_needs_no_pydantic_and_a_list_no_rich(folder: Path) -> None:
    assert probe(folder, ("--help",)) == [[0, [], []]]
    assert probe(folder, ("plugins",)) == [[0, [], ["pydantic"]]]


def test_the_test_can_fail(folder: Path) -> None:
    """The probe does see what a command imports."""
    ((_, heavy, _),) = probe(folder, ("doctor",))
    assert "torch" in heavy
