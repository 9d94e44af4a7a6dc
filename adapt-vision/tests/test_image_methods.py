"""Every way of fine-tuning on models of both libraries: run, reload, evaluate, predict, merge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import adapt_core
from adapt_core.errors import AdaptError

METHODS: dict[str, dict[str, Any]] = {
    "full": {"name": "full"},
    "last_layer": {"name": "last_layer"},
    "lora": {"name": "lora", "r": 2, "target_modules": "all"},
    "dora": {"name": "dora", "r": 2, "target_modules": "all"},
    "ssf": {"name": "ssf"},
    "bitfit": {"name": "bitfit"},
    "ia3": {"name": "ia3", "target_modules": "all", "feedforward_modules": []},
    "ln_tuning": {"name": "ln_tuning"},
}


@pytest.mark.parametrize("model", ["timm_resnet", "timm_vit", "vit", "resnet"])
@pytest.mark.parametrize("method", METHODS)
def test_a_run_is_reloaded_evaluated_used_and_merged(
    method: str, model: str, quick: Any, models: dict[str, Any], images: Path, tmp_path: Path
) -> None:
    if method == "ln_tuning" and model.endswith("resnet"):  # batch normalisation is trained by train_batch_norm
        with pytest.raises(AdaptError, match=r"ln_tuning|norm"):
            quick(model=models[model], method=METHODS[method])
        return
    result = quick(model=models[model], method=METHODS[method], training={"eval_batch_size": 5})
    folder = tmp_path / "quick"
    trained, total = result["parameters"]["trainable"], result["parameters"]["total"]
    assert trained == total if method == "full" else 0 < trained < total
    run = adapt_core.load_run(folder)
    again = adapt_core.evaluate_run(folder)["metrics"]
    assert {name: result["metrics"][name] for name in again} == pytest.approx(again, abs=1e-5)
    found = run.predict([str(images / "validation" / "red"), str(images / "validation" / "blue" / "000.png")])
    assert len(found) == 5
    assert [Path(each["image"]).name for each in found] == ["000.png", "001.png", "002.png", "003.png", "000.png"]
    assert all(sum(each["scores"].values()) == pytest.approx(1) for each in found)
    if method in ("full", "last_layer"):
        return
    if method == "ssf" and model.endswith("resnet"):  # its convolutions have no bias, and their class no switch for one
        with pytest.raises(AdaptError, match=r"Merging gave ResNet\w* \d+ parameters that its architecture lacks"):
            adapt_core.merge_run(folder, tmp_path / "merged")
        return
    assert adapt_core.merge_run(folder, tmp_path / "merged")["difference"] <= 1e-3
