"""The commands that compute nothing start without the heavy libraries, each in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fake_distributions import install, task_plugin

HEAVY = ("torch", "transformers", "peft", "accelerate", "datasets", "numpy", "pandas", "pyarrow", "jinja2", "sklearn")
CONFIG = "task: tested\nmodel: {path: model}\ndataset: {path: data.csv}\nmethod: {name: lora, r: 4}\nBATCH: 3\n"

PROBE = f"""
import runpy, sys
from adapt_core.cli.app import command_line
code = command_line(sys.argv[1:])
loaded = sorted(name for name in {HEAVY!r} if name in sys.modules)
print("loaded:", *loaded, file=sys.stderr)
print("rich" in sys.modules, "pydantic" in sys.modules, code, file=sys.stderr)
"""


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


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("run", "--help"),
        ("plugins",),
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
    ],
)
def test_it_imports_nothing_heavy(folder: Path, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, cwd=folder, check=True
    )
    loaded, rest = done.stderr.splitlines()[-2:]
    assert loaded == "loaded:"
    code = int(rest.split()[-1])
    wrong = "wrong.yaml" in arguments or "nowhere" in arguments
    assert code == (2 if wrong else 0), done.stderr


def test_help_needs_no_pydantic_and_a_list_no_rich(folder: Path) -> None:
    for arguments, expected in ((("--help",), "False False 0"), (("plugins",), "False True 0")):
        done = subprocess.run(
            [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, cwd=folder, check=True
        )
        assert done.stderr.splitlines()[-1] == expected


def test_the_test_can_fail(folder: Path) -> None:
    """The probe does see what a command imports."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, "doctor"], capture_output=True, text=True, cwd=folder, check=True
    )
    assert "torch" in done.stderr.splitlines()[-2].split()
