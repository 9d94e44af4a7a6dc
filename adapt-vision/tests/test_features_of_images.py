"""A head on images that are the same in every epoch is trained on what goes into it, computed once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from adapt_core.errors import AdaptError
from adapt_vision.image_classification.rows import ModelInputs


@pytest.mark.parametrize("model", ["timm_resnet", "timm_vit", "resnet"])
def test_images_are_read_once_and_the_weights_are_the_same(
    model: str, quick: Any, models: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = ModelInputs.__getitem__
    monkeypatch.setattr(ModelInputs, "__getitem__", lambda self, row: (reads.append(row), read(self, row))[1])
    found, metrics, counts = [], [], []
    for cache in ("auto", False):
        reads.clear()
        training = {"cache_features": cache, "max_steps": 40, "lr": 1e-2}
        folder = tmp_path / str(cache)
        result = quick(
            model=models[model],
            method="last_layer",
            task={"name": "image_classification", "augmentation": "none"},
            training=training,
            output_dir=str(folder),
        )
        (file,) = (folder / "model").glob("*.safetensors")
        found.append(load_file(file))
        metrics.append(result["metrics"])
        counts.append(len(reads))
    assert counts[0] <= 36 + 12 + 3 * 32  # all once, and the batches that try it
    assert counts[1] >= 300
    assert metrics[0] == pytest.approx(metrics[1], abs=1e-4)
    for name, value in found[1].items():
        assert torch.allclose(found[0][name], value, atol=1e-4), name


def test_images_that_change_are_not_kept(quick: Any, models: dict[str, Any]) -> None:
    task = {"name": "image_classification", "augmentation": "light"}
    with pytest.raises(AdaptError, match=r"training\.cache_features: the rows of this task are not the same"):
        quick(model=models["vit"], method="last_layer", task=task, training={"cache_features": True})
