"""What a task promises, as tests to inherit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adapt_core
from adapt_core.plan.build import build_plan


class TaskContract:
    """Subclass it and give a configuration with a tiny model and a few rows; one short run is made of it.

    The fixture ``configuration`` returns a mapping with ``task``, ``model``, ``dataset``, ``method`` and ``training``.
    A few steps suffice.
    """

    @pytest.fixture
    def configuration(self, tmp_path: Path) -> Mapping[str, Any]:
        """To be overridden."""
        raise NotImplementedError

    def test_the_data_says_what_is_needed_later(self, configuration: Mapping[str, Any], tmp_path: Path) -> None:
        """``data.json`` is JSON, and the same data have the same fingerprint."""
        first, second = (self._task(configuration, tmp_path).load_data() for _ in range(2))
        assert json.loads(json.dumps(first.info)) == first.info
        assert first.info["fingerprint"] == second.info["fingerprint"]

    def test_outputs_depend_on_the_row_alone(self, configuration: Mapping[str, Any], tmp_path: Path) -> None:
        """Neither on the rows beside it nor on the model's mode, which is left as it was."""
        task = self._task(configuration, tmp_path)
        data = task.load_data()
        model = task.load_model(data.info)
        rows = task.probe_rows(data)
        assert json.loads(json.dumps(list(rows))) == list(rows)
        model.module.train()
        together = task.outputs(model, rows, data.info)
        assert model.module.training, "the model's mode was changed"
        assert all(each.dtype == np.float32 for each in together)
        assert len(together) == len(rows)
        for row, expected in zip(rows, together, strict=True):
            (alone,) = task.outputs(model, [row], data.info)
            assert np.allclose(expected, alone, atol=1e-4)

    def test_a_run_is_evaluated_used_and_left(self, configuration: Mapping[str, Any], tmp_path: Path) -> None:
        """Evaluating again gives the same, predictions are JSON, and the README's code runs as it stands."""
        folder = tmp_path / "run"
        result = adapt_core.run({**configuration, "save": "none", "output_dir": str(folder)})
        again = adapt_core.evaluate_run(folder)["metrics"]
        assert {name: result["metrics"][name] for name in again} == pytest.approx(again, abs=1e-6)
        run = adapt_core.load_run(folder)
        rows = run.task.probe_rows(run.task.load_split(None, None, run.info))
        predictions = run.predict(rows)
        assert len(predictions) == len(rows)
        json.dumps(list(predictions))
        blocks = re.findall(r"```python\n(.*?)```", (folder / "model" / "README.md").read_text(), flags=re.DOTALL)
        assert blocks, "model/README.md shows no code"
        code = subprocess.run(
            [sys.executable, "-c", "\n".join(blocks)], cwd=folder / "model", capture_output=True, text=True, check=False
        )
        assert code.returncode == 0, code.stderr[-2000:]

    def _task(self, configuration: Mapping[str, Any], folder: Path) -> Any:
        plan = build_plan({**configuration, "output_dir": str(folder / "never")})
        return plan.make_task()
