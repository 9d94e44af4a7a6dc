"""Masks with RTMDet-Ins and poses with a top-down model: trained, used, and loaded without Adapt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import adapt_core
from adapt_core.errors import AdaptError

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")
pytest.importorskip("mmpose", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

WITHOUT_ADAPT = """
import sys
sys.modules["adapt_core"] = sys.modules["adapt_vision"] = None
code = open("README.md").read().split("```python")[1].split("```")[0]
exec(code.replace("score >= 0.5", "score >= 0.0"))
"""


def _said(folder: Path, *images: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ADAPT, *images],
        cwd=folder / "model", capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return [line for line in done.stdout.splitlines() if line.startswith(images[0])]


@pytest.mark.usefixtures("no_reload")
class TestMasks:
    def test_a_run_is_measured_used_and_loaded_without_adapt(self, masks: dict[str, Any], tmp_path: Path) -> None:
        result = adapt_core.run(masks)
        assert {"ap", "ap50"} <= set(result["metrics"])
        image = sorted((Path(masks["dataset"]["path"]) / "val").iterdir())[0]
        run = adapt_core.load_run(masks["output_dir"])
        (found,) = run.predict([str(image)], threshold=0.0, drawn=str(tmp_path / "drawn"))
        assert all(each["segmentation"]["size"] for each in found["objects"])
        assert len(list((tmp_path / "drawn").iterdir())) == 1
        lines = _said(Path(masks["output_dir"]), str(image))
        assert len(lines) == len(found["objects"])

    def test_a_model_without_masks_is_refused(self, masks: dict[str, Any]) -> None:
        with pytest.raises(AdaptError, match="no masks"):
            adapt_core.run({**masks, "model": {**masks["model"], "name": "yolox_nano_8xb8-300e_coco"}})


@pytest.mark.usefixtures("no_reload")
class TestPoses:
    @pytest.mark.parametrize("method", ["full", "lora"])
    def test_a_run_is_measured_used_and_loaded_without_adapt(
        self, poses: dict[str, Any], tmp_path: Path, method: str
    ) -> None:
        """The code in the card finds what Adapt finds, in the same box. An adapter needs a base that is saved."""
        if method == "lora":
            first = adapt_core.run({**poses, "output_dir": str(tmp_path / "first")})
            assert first["status"] == "completed"
            poses = {
                **poses,
                "method": {"name": "lora", "r": 4, "target_modules": "conv"},
                "model": {"library": "mmpose", "path": str(tmp_path / "first" / "model")},
            }
        result = adapt_core.run(poses)
        assert {"pck", "ap"} <= set(result["metrics"])
        rows = json.loads((Path(poses["dataset"]["path"]) / "annotations" / "val.json").read_text())
        image = Path(poses["dataset"]["path"]) / "val" / rows["images"][0]["file_name"]
        size = rows["images"][0]
        run = adapt_core.load_run(poses["output_dir"])
        box = [0, 0, size["width"], size["height"]]
        rows = [{"image": str(image), "boxes": [box]}]
        (found,) = run.task.predict(run.model, rows, run.info, _options(run))
        lines = _said(Path(poses["output_dir"]), str(image))
        expected = [value for line in lines for value in map(float, line.split()[-3:])]
        assert found["objects"][0]["keypoints"] == pytest.approx(expected, abs=1.0)

    def test_what_is_no_top_down_model_is_refused(self, poses: dict[str, Any]) -> None:
        with pytest.raises(AdaptError, match="another way"):
            name = "rtmo-s_8xb32-600e_coco-640x640"
            adapt_core.run({**poses, "model": {**poses["model"], "name": name}})
        with pytest.raises(AdaptError, match="cfg_options"):
            adapt_core.run({**poses, "task": {**poses["task"], "sigma": 2.0}})


def _options(run: Any) -> Any:
    from adapt_vision.pose_detection.options import PoseDetectionPrediction

    return PoseDetectionPrediction()
