"""Checkpoints of whole models are loaded by the names that their library saves them with; loaders tell their time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from adapt_core.engines.common.loaders import training_loader
from adapt_core.engines.trainer.trainer import _load_whole
from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_core.testing import MODELS


@pytest.mark.parametrize("name", ["vision_transformer", "encoder", "convolutional", "tied_lm"])
def test_a_whole_model_s_checkpoint_is_loaded_into_every_parameter(name: str, tmp_path: Path) -> None:
    saved: Any = MODELS[name].seeded(1)
    saved.save_pretrained(tmp_path)
    other: Any = MODELS[name].seeded(2)
    _load_whole(other, str(tmp_path))
    expected, found = saved.state_dict(), other.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(value, found[key]) for key, value in expected.items())


def test_a_checkpoint_that_lacks_parameters_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    module: Any = MODELS["vision_transformer"].seeded()
    module.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("classifier.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(AdaptError, match=r"lacks 1 of the model's parameters, classifier.weight"):
        _load_whole(module, str(tmp_path))


class Slow(Dataset[int]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        time.sleep(0.05)
        return index


def test_a_loader_knows_how_long_it_was_waited_for_and_not_the_time_of_the_steps() -> None:
    loader = training_loader(
        Slow(), lambda rows: {"x": rows}, batch=2, group=1, seed=0, world=World(), lengths=None, workers=0
    )
    for _ in loader:
        time.sleep(0.3)  # a step
    assert 0.2 <= loader.waiting < 0.45
