"""Checkpoints and configurations are read without running what is in them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapt_core.errors import AdaptError

pytest.importorskip("mmengine", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")


class Runs:
    """An object whose pickle runs a function when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


class Looks:
    """The same through ``getattr``, which MMEngine allows."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (getattr, (self.mark, "touch"))


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    from adapt_vision.libraries.openmmlab.files import read_checkpoint

    file, mark = tmp_path / "evil.pth", tmp_path / "ran"
    for evil in (Runs(mark), Looks(mark)):
        torch.save({"state_dict": {"a": torch.zeros(2)}, "meta": {"x": evil}}, file)
        with pytest.raises(AdaptError, match="could run code"):
            read_checkpoint(file)
        assert not mark.exists()
    with file.open("wb") as stream:
        pickle.dump({"state_dict": Runs(mark)}, stream)
    with pytest.raises(AdaptError):
        read_checkpoint(file)
    assert not mark.exists()


def test_what_mmengine_s_runner_saves_is_read(tmp_path: Path) -> None:
    """With its history of the log, which is left out, and numbers of NumPy."""
    from mmengine.logging import HistoryBuffer

    from adapt_vision.libraries.openmmlab.files import classes_of, read_checkpoint

    history = HistoryBuffer()
    history.update(1.0)
    content = {
        "state_dict": {"module.a": torch.ones(2)},
        "meta": {"epoch": 1, "dataset_meta": {"classes": ("cat", "dog")}, "seed": np.int64(3)},
        "message_hub": {"log_scalars": {"train/loss": history}},
    }
    torch.save(content, tmp_path / "epoch_1.pth")
    state, meta = read_checkpoint(tmp_path / "epoch_1.pth")
    assert list(state) == ["a"] and classes_of(meta) == ["cat", "dog"]


def test_a_saved_configuration_is_read_as_mmengine_reads_it_and_is_not_run(tmp_path: Path) -> None:
    from mmengine.config import Config

    from adapt_vision.libraries.openmmlab.files import read_config, write_config

    config = Config({"model": {"type": "X", "sizes": (1, 2), "none": None, "one": (3,), "list": [{"a": 1.5}]}, "n": -1})
    write_config(config, tmp_path)
    assert read_config(tmp_path).to_dict() == config.to_dict()
    assert Config.fromfile(tmp_path / "config.py").to_dict() == config.to_dict()
    (tmp_path / "config.py").write_text("import os\nmodel = {}\n")
    with pytest.raises(AdaptError, match="line 1"):
        read_config(tmp_path)
    (tmp_path / "config.py").write_text("model = open('x', 'w')\n")
    with pytest.raises(AdaptError):
        read_config(tmp_path)
