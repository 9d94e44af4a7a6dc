"""The bare task: bare PyTorch with an engine of its own, installed as a third party's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_distributions import install

BARE = Path(__file__).parents[1] / "bare"


@pytest.fixture(scope="package")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Installs the bare task, in this process and those it starts, and gives a configuration for it.

    160 pictures of 8 by 8 points, of which one quarter is bright: 128 for training, 32 for evaluation.
    """
    site = tmp_path_factory.mktemp("bare-site")
    names = ("bare_plugin", "bare_options", "bare_engine", "bare_task")
    install(site, "bare-task", "1.0", {name: (BARE / f"{name}.py").read_text() for name in names}, {"bare": names[0]})
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        folder = tmp_path_factory.mktemp("bare")
        draw = np.random.default_rng(0)
        labels = draw.integers(0, 4, 160)
        pictures = draw.normal(0, 1, (160, 8, 8)).astype(np.float32)
        for picture, label in zip(pictures, labels, strict=True):
            row, column = divmod(int(label), 2)
            picture[row * 4 : row * 4 + 4, column * 4 : column * 4 + 4] += 1
        np.savez(folder / "pictures.npz", pictures=pictures, labels=labels)
        import torch
        from bare_task import Net
        from safetensors.torch import save_model

        torch.manual_seed(0)
        (folder / "model").mkdir()
        save_model(Net(), str(folder / "model" / "weights.safetensors"))
        yield {
            "task": "shapes",
            "model": {"path": str(folder / "model")},
            "dataset": {"path": str(folder / "pictures.npz")},
            "training": {"epochs": 3, "batch_size": 16, "num_workers": 0, "lr": 0.05, "logging_steps": 4},
            "save": "safetensors",
        }


@pytest.fixture
def bare_config(bare: dict[str, Any], tmp_path: Path) -> Any:
    """Makes a configuration of the bare task out of changes."""

    def make(**changes: Any) -> dict[str, Any]:
        config = {**bare, "output_dir": str(tmp_path / "run")}
        for key, value in changes.items():
            merges = isinstance(value, dict) and isinstance(config.get(key), dict)
            config[key] = {**config[key], **value} if merges else value
        return config

    return make
