"""Shell completion, through the protocol that the shells speak."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(sys.executable).parent / "adapt"


def complete(words: str, index: int) -> list[str]:
    """What bash would offer for the word at an index of a command line."""
    asked = {"_ADAPT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(index)}
    done = subprocess.run([SCRIPT], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "index", "expected"),
    [
        ("adapt pl", 1, ["plugins"]),
        ("adapt plugins ", 2, ["task", "method", "quantizer", "saver", "launcher"]),
        ("adapt explain s", 2, ["saver"]),
        ("adapt explain method la", 3, ["last_layer"]),
        ("adapt explain method L", 3, ["last_layer", "lora"]),
        ("adapt explain launcher ", 3, ["local"]),
        ("adapt init --method lo", 3, ["lora"]),
        ("adapt check --js", 2, ["--json"]),
    ],
)
def test_completes_commands_kinds_names_and_options(words: str, index: int, expected: list[str]) -> None:
    offered = complete(words, index)
    assert [word for word in offered if word in expected] == expected
    assert all(word.startswith(words.split(" ")[index].lower()) for word in offered)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_script(shell: str) -> None:
    environment = {**os.environ, "_ADAPT_COMPLETE": f"{shell}_source"}
    done = subprocess.run([SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert "_ADAPT_COMPLETE" in done.stdout
