"""``adapt data``: what a model will see, without the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_runner import adapt

from adapt_core.errors import EXIT_FAILED, EXIT_USAGE
from adapt_core.interfaces import Task


@pytest.fixture
def file(toy: dict[str, Any], tmp_path: Path) -> Path:
    """Its model does not exist: only its data is read."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**toy, "model": {"path": str(tmp_path)}, "output_dir": str(tmp_path / "run")}))
    return path


def test_it_prints_numbers_for_programs_and_tables_for_people(file: Path, toy: dict[str, Any]) -> None:
    found = adapt("data", str(file), "--json").json
    rows = json.loads(Path(toy["dataset"]["path"]).read_text())
    assert {name: split["rows"] for name, split in found["splits"].items()} == {n: len(r) for n, r in rows.items()}
    assert sum(found["splits"]["train"]["labels"].values()) == len(rows["train"])
    shown = adapt("data", str(file), "--examples", "1").out
    assert "Rows of train" in shown and "█" in shown
    assert not (file.parent / "run").exists()


def test_it_writes_a_page_and_overwrites_none(file: Path) -> None:
    page = file.parent / "data.html"
    assert adapt("data", str(file), "--html", str(page)).code == 0
    assert "Rows of validation" in page.read_text()
    again = adapt("data", str(file), "--html", str(page))
    assert again.code == EXIT_USAGE
    assert "is not overwritten" in again.err


def test_a_task_that_does_not_show_its_data_says_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toy_task import Toy

    monkeypatch.setattr(Toy, "inspect", Task.inspect)
    done = adapt("data", str(file))
    assert done.code == EXIT_FAILED
    assert "does not show its data" in done.err
