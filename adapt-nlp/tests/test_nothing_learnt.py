"""A classifier that has learnt nothing is told in the run, in its files, in the report and when it is evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import adapt_core

pytestmark = pytest.mark.usefixtures("no_reload")


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 rows of one text and one label, and of another each 30: the labels can be told by the words."""
    path = tmp_path_factory.mktemp("unequal") / "rows.csv"
    rows = ["rain sun wind,weather"] * 120 + ["bread soup,food"] * 30 + ["song drum,music"] * 30
    path.write_text("\n".join(["text,label", *rows]))
    return path


def notices(folder: Path) -> list[str]:
    return list(json.loads((folder / "result.json").read_text())["notices"])


def test_a_head_trained_at_a_tiny_rate_is_told(
    config: dict[str, Any], unequal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = {**config["training"], "lr": 1e-9, "max_steps": 2}
    changes = {"dataset": {"path": str(unequal)}, "method": "last_layer", "training": training}
    result = adapt_core.run({**config, **changes, "output_dir": str(tmp_path / "run")})
    (said,) = result["notices"]
    assert result["metrics"]["accuracy"] <= 13 / 18
    assert "18 evaluation rows" in said and "training.lr" in said
    assert notices(tmp_path / "run") == [said]
    assert said in capsys.readouterr().err
    assert "of 18 evaluation rows" in (tmp_path / "run" / "report.html").read_text()
    assert adapt_core.evaluate_run(tmp_path / "run")["notices"] == [said]


def test_a_model_that_predicts_the_most_frequent_label_alone_is_told_its_name(
    config: dict[str, Any], unequal: Path, tmp_path: Path
) -> None:
    """Its texts are cut to one word that all of them have, so that nothing but the labels' frequency can be learnt."""
    the = tmp_path / "the.csv"
    the.write_text(unequal.read_text().replace("rain", "the").replace("bread", "the").replace("song", "the"))
    changes = {"dataset": {"path": str(the)}, "task": {"name": "text_classification", "max_length": 3}}
    result = adapt_core.run({**config, **changes, "output_dir": str(tmp_path / "run")})
    (said,) = result["notices"]
    assert said.startswith("The model predicts 'weather' for every one of 18 evaluation rows")


def test_nothing_is_said_of_a_model_that_learns(config: dict[str, Any], unequal: Path, tmp_path: Path) -> None:
    changes = {"dataset": {"path": str(unequal)}, "output_dir": str(tmp_path / "run")}
    assert adapt_core.run({**config, **changes})["metrics"]["accuracy"] == 1
    assert notices(tmp_path / "run") == []
    assert adapt_core.evaluate_run(tmp_path / "run")["notices"] == []
