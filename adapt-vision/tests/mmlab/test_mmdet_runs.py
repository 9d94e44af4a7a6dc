"""MMDet's detectors through Adapt: trained by each kind of method, saved, loaded without Adapt, used and measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import adapt_core
from adapt_core.errors import AdaptError

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

WITHOUT_ADAPT = """
import json, sys
sys.modules["adapt_core"] = sys.modules["adapt_vision"] = None
code = open("README.md").read().split("```python")[1].split("```")[0]
exec(code.replace("score >= 0.5", "score >= 0.05"))
"""


@pytest.fixture
def image(test_data: Path) -> Path:
    return sorted((test_data / "object_detection" / "bccd" / "val").iterdir())[0]


LORA = {"name": "lora", "r": 4, "target_modules": "conv"}


@pytest.mark.parametrize("method", ["full", "last_layer", LORA, "ssf"], ids=["full", "last_layer", "lora", "ssf"])
def test_a_method_trains_and_saves_what_it_says(run: Callable[..., Any], cells: dict[str, Any], method: Any) -> None:
    """The backbone stays where only the head is trained; what is loaded again gives the same outputs."""
    result = run(method=method)
    folder = Path(cells["output_dir"])
    assert result["steps"] == 2 and "ap50" in result["metrics"]
    share = result["parameters"]["trainable"] / result["parameters"]["total"]
    assert share == 1 if method == "full" else share < 0.2
    if method in ("full", "last_layer"):
        saved = torch.load(folder / "model" / "model.pth", weights_only=True)["state_dict"]
        base = torch.load(cells["model"]["path"], weights_only=True)
        base = base.get("state_dict", base)
        name = "backbone.stem.conv.conv.weight"
        assert torch.equal(saved[name], base[name]) == (method == "last_layer")
        statistics = "backbone.stem.conv.bn.running_mean"
        assert torch.equal(saved[statistics], base[statistics]) == (method == "last_layer"), "batch-norm moved"
    loaded = adapt_core.load_run(folder)
    rows = [{"image": str(each)} for each in sorted(Path(cells["dataset"]["path"], "val").iterdir())[:2]]
    again = adapt_core.load_run(folder)
    for one, other in zip(
        loaded.task.outputs(loaded.model, rows, loaded.info), again.task.outputs(again.model, rows, again.info),
        strict=True,
    ):  # fmt: skip
        assert np.array_equal(one, other)


@pytest.mark.parametrize("method", ["full", LORA], ids=["full", "lora"])
def test_the_readme_s_code_finds_the_same_without_adapt(
    run: Callable[..., Any], cells: dict[str, Any], image: Path, method: Any
) -> None:
    run(method=method)
    folder = Path(cells["output_dir"])
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_ADAPT, str(image)],
        cwd=folder / "model", capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    ).stdout  # fmt: skip
    lines = [line.split()[-5:] for line in said.splitlines() if line.startswith(str(image))]
    (predicted,) = adapt_core.load_run(folder).predict([str(image)], threshold=0.05)
    assert len(lines) == len(predicted["objects"])
    for line, found in zip(
        sorted(lines), sorted(predicted["objects"], key=lambda each: str(each["score"])), strict=True
    ):
        assert float(line[0]) == pytest.approx(found["score"], abs=2e-3)


def test_the_command_line_evaluates_predicts_and_draws(
    run: Callable[..., Any], cells: dict[str, Any], adapt: Callable[..., Any], image: Path, tmp_path: Path
) -> None:
    trained = run()
    folder = cells["output_dir"]
    measured = adapt("eval", folder)
    assert measured["metrics"]["ap50"] == pytest.approx(trained["metrics"]["ap50"], abs=1e-6)
    (found,) = adapt("predict", folder, str(image), "-O", "threshold=0.0", "-O", f"drawn={tmp_path / 'drawn'}")
    assert {"category_id", "label", "score", "bbox"} <= set(found["objects"][0])
    assert len(list((tmp_path / "drawn").iterdir())) == 1
    page = Path(folder, "report.html").read_text()
    assert "Average precision by class" in page and "data:image/" in page
    assert list(Path(folder, "logs", "mmengine").rglob("*.log")), "MMEngine's log is not in the run folder"


def test_options_of_the_engine_have_their_effect(run: Callable[..., Any], cells: dict[str, Any]) -> None:
    """The scaled rate, mixed precision, and the interval in epochs."""
    folder = Path(cells["output_dir"])
    run(training={"auto_scale_lr": True, "scheduler": "constant"})
    rates = {line["learning_rate"] for line in _lines(folder) if "learning_rate" in line}
    assert list(rates) == [pytest.approx(1e-3 * 4 / 64)], "the configuration is for 64 images a step"
    plain = run(training={"scheduler": "constant"})["metrics"]["train_loss"]
    mixed = run(training={"scheduler": "constant", "amp": True})["metrics"]["train_loss"]
    assert mixed != plain and mixed == pytest.approx(plain, rel=0.1)
    run(training={"max_steps": None, "epochs": 4, "checkpoint_interval": 2, "do_eval": False})
    steps = sorted(int(each.name.partition("-")[2]) for each in (folder / "checkpoints").iterdir())
    assert steps == [4, 8], "two steps an epoch, a checkpoint every second epoch"


def test_cfg_options_change_the_model(run: Callable[..., Any], cells: dict[str, Any]) -> None:
    plain = run()["metrics"]["train_loss"]
    same = run(model={"cfg_options": True})["metrics"]["train_loss"]
    changed = run(model={"cfg_options": {"model.bbox_head.loss_cls.loss_weight": 9.0}})["metrics"]["train_loss"]
    assert plain == same and changed > 1.5 * plain


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ({"cfg_options": {"train_dataloader.batch_size": 3}}, "train_dataloader"),
        ({"config": "x.py"}, "both name"),
        ({"name": "yolox_nano_8xb8-300e_cocoo"}, "did you mean 'yolox_nano_8xb8-300e_coco'"),
        ({"name": "retinanet_r18_fpn_1x_coco"}, "another model's"),
        ({"name": "rpn_r50_fpn_1x_coco"}, "without classes"),
        ({"pretrained": False}, "pretrained"),
    ],
)
def test_what_cannot_be_loaded_is_refused(run: Callable[..., Any], model: dict[str, Any], told: str) -> None:
    with pytest.raises(AdaptError) as caught:
        run(model=model)
    assert told in str(caught.value)


def test_an_adapter_is_merged_into_a_model_of_the_library(
    run: Callable[..., Any], cells: dict[str, Any], tmp_path: Path
) -> None:
    run(method=LORA)
    merged = adapt_core.merge_run(cells["output_dir"], tmp_path / "merged")
    assert merged["difference"] <= 1e-3 * max(merged["largest_output"], 1.0)
    assert {"config.py", "model.pth"} <= {each.name for each in (tmp_path / "merged").iterdir()}


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
