"""Instance segmentation from COCO's JSON to a used model, with tiny models built on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import adapt_core
from adapt_core.testing import TaskContract

METHODS: dict[str, dict[str, Any]] = {
    "full": {"name": "full"},
    "last_layer": {"name": "last_layer"},
    "lora": {"name": "lora", "r": 2, "target_modules": "all-linear"},
    "dora": {"name": "dora", "r": 2, "target_modules": "all-linear"},
    "ssf": {"name": "ssf"},
    "bitfit": {"name": "bitfit"},
}


class TestSegmentationContract(TaskContract):
    @pytest.fixture
    def configuration(self, segmentation: dict[str, Any]) -> dict[str, Any]:
        return segmentation


@pytest.fixture
def segment(segmentation: dict[str, Any], tmp_path: Path, no_reload: None) -> Callable[..., dict[str, Any]]:
    """Runs two steps of a changed configuration, without the process that loads what was saved."""

    def run(**changes: Any) -> dict[str, Any]:
        made = {**segmentation, "output_dir": str(tmp_path / "run")}
        for key, value in changes.items():
            merges = key not in ("model", "method")
            made[key] = {**made[key], **value} if merges else value
        return adapt_core.run(made, overwrite=True)

    return run


@pytest.mark.parametrize("model", ["mask2former", "maskformer", "rf_detr"])
@pytest.mark.parametrize("method", METHODS)
def test_a_run_is_reloaded_evaluated_used_and_merged(
    method: str, model: str, segment: Any, segmenters: dict[str, Any], objects: Path, tmp_path: Path
) -> None:
    result = segment(model=segmenters[model], method=METHODS[method])
    folder = tmp_path / "run"
    trained, total = result["parameters"]["trainable"], result["parameters"]["total"]
    assert 0 < trained <= total and (method == "full" or trained < total)
    again = adapt_core.evaluate_run(folder)["metrics"]
    assert {name: result["metrics"][name] for name in again} == pytest.approx(again, abs=1e-4)
    run = adapt_core.load_run(folder)
    found = run.predict([str(objects / "val")], threshold=0.0, drawn=str(tmp_path / "drawn"))
    assert [Path(each["image"]).name for each in found] == [f"val{n}.png" for n in range(4)]
    assert all(one["category_id"] in (3, 7) for each in found for one in each["objects"])
    assert sorted(each.name for each in (tmp_path / "drawn").iterdir()) == [f"val{n}.png" for n in range(4)]
    if method in ("full", "last_layer"):
        return
    assert adapt_core.merge_run(folder, tmp_path / "merged")["difference"] <= 1e-3
