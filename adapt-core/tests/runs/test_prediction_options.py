"""Options of a prediction are checked at once, whatever they are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_runner import adapt
from toy_runs import finished

import adapt_core
from adapt_core.errors import EXIT_USAGE


@pytest.mark.usefixtures("no_reload")
def test_options_are_checked_before_anything_is_predicted(toy_config: Any, tmp_path: Path) -> None:
    folder = finished(toy_config, tmp_path / "run")
    run = adapt_core.load_run(folder)
    for name in ("typo", "rows", "self"):
        with pytest.raises(adapt_core.ConfigError, match=name):
            run.predictions(["[1, 2]"], **{name: 3})
        assert adapt("predict", str(folder), "[1, 2]", "-O", f"{name}=3").code == EXIT_USAGE
    (found,) = run.predictions(["[1, 2]"])
    assert found["label"] in (0, 1)


def test_a_file_that_cannot_be_written_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    done = adapt("predict", str(tmp_path), "[1, 2]", "--output", str(tmp_path / "none" / "found.csv"))
    assert done.code == EXIT_USAGE
    assert "there is no folder" in done.err
