"""What holds of every task with annotated images, and what their tests share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

import adapt_core
from adapt_core.bundles import Evaluated
from adapt_core.errors import AdaptError
from adapt_core.plan.build import build_plan
from adapt_core.testing import TaskContract

METHODS: dict[str, dict[str, Any]] = {
    "full": {"name": "full"},
    "last_layer": {"name": "last_layer"},
    "lora": {"name": "lora", "r": 2, "target_modules": "all-linear"},
    "dora": {"name": "dora", "r": 2, "target_modules": "all-linear"},
    "ssf": {"name": "ssf"},
    "bitfit": {"name": "bitfit"},
    "ia3": {"name": "ia3", "target_modules": "all-linear", "feedforward_modules": []},
    "ln_tuning": {"name": "ln_tuning"},
}


def runner(made: Mapping[str, Any], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs two steps of a changed configuration."""

    def run(**changes: Any) -> dict[str, Any]:
        config = {**made, "output_dir": str(tmp_path / "run")}
        for key, value in changes.items():
            merges = key not in ("model", "method")
            config[key] = {**config[key], **value} if merges else value
        return adapt_core.run(config, overwrite=True)

    return run


def planned(made: Mapping[str, Any], tmp_path: Path, **changes: Any) -> Any:
    """The task of a changed configuration, which is not run."""
    config = {**made, "output_dir": str(tmp_path / "never")}
    for key, value in changes.items():
        config[key] = {**config[key], **value}
    return build_plan(config).make_task()


class AnnotatedContract(TaskContract):
    """Runs with tiny models: each is reloaded, evaluated, used and merged, and resumed after it was killed."""

    section: ClassVar[str]
    """The fixture of the configuration."""

    models: ClassVar[str]
    """The fixture of the ``model`` sections."""

    data: ClassVar[str] = "objects"
    """The fixture of the data."""

    cases: ClassVar[Sequence[tuple[str, str]]]
    """The models and the methods that are tried on them."""

    methods: ClassVar[Mapping[str, Mapping[str, Any]]] = METHODS
    """The ``method`` sections."""

    not_merged: ClassVar[Callable[[str, str], bool]] = staticmethod(lambda model, method: False)
    """Whether merging gives a model biases that its architecture lacks."""

    measure: ClassVar[str] = "ap50"
    """The metric by which a model has found nothing."""

    reported: ClassVar[Sequence[str]] = ("ap", "ap50")
    """Some of the metrics."""

    steps: ClassVar[int] = 60
    """Of the run that is killed."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if {"model", "method"} <= set(metafunc.fixturenames):
            metafunc.parametrize(("model", "method"), self.cases)

    def check_found(self, found: Sequence[Mapping[str, Any]]) -> None:
        """What a prediction has of each object."""
        assert all(one["category_id"] in (3, 7) for each in found for one in each["objects"])

    @pytest.fixture
    def configuration(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        made: dict[str, Any] = request.getfixturevalue(self.section)
        return made

    def test_a_run_is_reloaded_evaluated_used_and_merged(
        self, model: str, method: str, configuration: Any, request: Any, tmp_path: Path, no_reload: None
    ) -> None:
        sections, data = request.getfixturevalue(self.models), request.getfixturevalue(self.data)
        result = runner(configuration, tmp_path)(model=sections[model], method=self.methods[method])
        folder = tmp_path / "run"
        trained, total = result["parameters"]["trainable"], result["parameters"]["total"]
        assert 0 < trained <= total and (method == "full" or trained < total)
        again = adapt_core.evaluate_run(folder)["metrics"]
        assert {name: result["metrics"][name] for name in again} == pytest.approx(again, abs=1e-4)
        assert set(self.reported) <= set(again)
        run = adapt_core.load_run(folder)
        found = run.predict([str(data / "val")], threshold=0.0, drawn=str(tmp_path / "drawn"))
        assert [Path(each["image"]).name for each in found] == [f"val{n}.png" for n in range(4)]
        assert sorted(each.name for each in (tmp_path / "drawn").iterdir()) == [f"val{n}.png" for n in range(4)]
        self.check_found(found)
        if method in ("full", "last_layer", "bottleneck"):
            return
        if self.not_merged(model, method):
            with pytest.raises(AdaptError, match=r"Merging gave \w+ \d+ parameters that its architecture lacks"):
                adapt_core.merge_run(folder, tmp_path / "merged")
            return
        assert adapt_core.merge_run(folder, tmp_path / "merged")["difference"] <= 1e-3

    def test_a_model_that_finds_nothing_is_named(self, configuration: Any, tmp_path: Path) -> None:
        task = planned(configuration, tmp_path)
        data = task.load_data()
        assert len(task.notices(Evaluated({self.measure: 0.0}, None), data)) == 1
        assert not task.notices(Evaluated({self.measure: 0.5}, None), data)

    @pytest.mark.slow
    def test_a_killed_run_with_augmentation_resumes_bit_for_bit(
        self, configuration: Any, tmp_path: Path, no_reload: None
    ) -> None:
        often = {"max_steps": self.steps, "interval": "steps", "interval_steps": 2, "do_eval": False}
        made = {
            **configuration,
            "task": {**configuration["task"], "augmentation": "standard"},
            "training": {**configuration["training"], **often},
        }
        whole, killed = tmp_path / "whole", tmp_path / "killed"
        adapt_core.run({**made, "output_dir": str(whole)})
        (tmp_path / "config.json").write_text(json.dumps({**made, "output_dir": str(killed)}))
        process = subprocess.Popen(
            [sys.executable, "-m", "adapt_core.cli", "run", str(tmp_path / "config.json")],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 240
        while len(list(killed.glob("checkpoints/*/complete.json"))) < 2:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (killed / "result.json").exists()
        adapt_core.run({**made, "output_dir": str(killed)}, resume=True)
        for name in ("model/model.safetensors", "metrics.jsonl"):
            assert (killed / name).read_bytes() == (whole / name).read_bytes()
