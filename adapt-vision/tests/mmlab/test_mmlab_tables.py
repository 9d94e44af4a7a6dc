"""Parameters of the tables under MMEngine's Runner, by their flat names: workers, checkpoints, saving, evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import adapt_core

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

TABLE: dict[str, Any] = {"INTERVAL": "steps", "INTERVAL_STEPS": 1, "NO_OF_CHECKPOINTS": 1}


@pytest.mark.usefixtures("no_reload")
def test_workers_checkpoints_saving_and_evaluation_are_as_the_table_says(cells: dict[str, Any], tmp_path: Path) -> None:
    """Two steps of random augmentation, the last a short one, read by the main process, and by two others."""
    config = {
        **cells, **TABLE,
        "task": {**cells["task"], "image_size": 64, "augmentation": "standard"},
        "dataset": {**cells["dataset"], "max_train_samples": 5, "max_eval_samples": 2},
        "training": {"max_steps": 2, "batch_size": 3, "lr": 1e-3},
    }  # fmt: skip
    del config["save"]
    one, other, measured = (tmp_path / name for name in ("one", "other", "measured"))
    here = {"NUM_WORKERS": 0, "SAVE_METHOD": "full_torch_model", "output_dir": str(one)}
    result = adapt_core.run({**config, **here})
    workers = {"NUM_WORKERS": 2, "SAVE_METHOD": "safetensors", "DO_EVAL": False, "output_dir": str(other)}
    again = adapt_core.run({**config, **workers})
    for folder in (one, other):
        assert [each.name for each in (folder / "checkpoints").iterdir()] == ["checkpoint-2"]
    states = [torch.load(each / "model" / "model.pth", weights_only=True)["state_dict"] for each in (one, other)]
    states += [torch.load(one / result["export"], weights_only=False).state_dict(), load_file(other / again["export"])]
    for state in states:
        assert state.keys() == states[0].keys()
        assert [name for name, each in state.items() if not torch.equal(each, states[0][name])] == []
    model = {"library": "mmdet", "path": str(one / "model")}
    untrained = {"model": model, "DO_TRAIN": False, "NUM_WORKERS": 0, "save": "none", "output_dir": str(measured)}
    found = adapt_core.run({**config, **untrained})["metrics"]
    assert found == pytest.approx({name: each for name, each in result["metrics"].items() if name != "train_loss"})
    assert not list(measured.glob("checkpoints/*"))
