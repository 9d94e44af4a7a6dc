"""The page of what works with what says what checking a configuration says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapt_core.errors import ConfigError
from adapt_core.kinds import Kind
from adapt_core.plan.build import build_plan
from adapt_core.plugins.registry import Registry

PAGE = Path(__file__).parent.parent / "docs" / "compatibility.md"


def _marks(title: str) -> dict[tuple[str, str], bool]:
    """The cells of a table of the page, by the names of their row and column."""
    lines = PAGE.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0].splitlines()
    columns, _, *rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"]
    return {
        (name, column): mark == "✓" for name, *marks in rows for column, mark in zip(columns[1:], marks, strict=True)
    }


def _refused(config: dict[str, Any]) -> list[str]:
    """The keys that checking a configuration finds impossible beside the rest."""
    try:
        build_plan(config)
    except ConfigError as error:
        return [each.key for each in error.problems if each.code == "impossible-combination"]
    return []


@pytest.mark.parametrize(("pair", "works"), _marks("Launchers").items(), ids=lambda each: str(each))
def test_a_launcher_is_marked_where_a_configuration_with_it_is_accepted(
    pair: tuple[str, str], works: bool, tmp_path: Path
) -> None:
    launcher, engine = pair
    task, library = next(
        (spec, each)
        for spec in (entry.spec for entry in Registry.load().entries(Kind.TASK))
        for each in spec.libraries
        if each.engine.name == engine
    )
    config = {
        "task": task.name, "model": {"library": library.name, "name": "x"}, "dataset": {"path": str(tmp_path)},
        "method": "full", "launch": launcher,
    }  # fmt: skip
    assert works == (not [key for key in _refused(config) if key.startswith("launch")])
