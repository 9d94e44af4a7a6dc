"""A method that does not do what its interface asks is named, with the call, and nothing is trained in vain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

import adapt_core
from adapt_core import AdaptError
from adapt_core.engines.trainer.engine import TrainerEngine
from adapt_core.methods.bitfit.method import Bitfit

pytestmark = pytest.mark.usefixtures("no_reload")
CLASS = r"adapt_core\.methods\.bitfit\.method\.Bitfit"


def nothing(*_: Any) -> None:
    """What a call gives that forgets its ``return``."""


@pytest.fixture
def config(toy_config: Any) -> Any:
    return toy_config(method="bitfit", training={"max_steps": 2}, save="state_dict")


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training that must not be reached."""

    def train(*_: Any) -> None:
        raise AssertionError("it is trained all the same")

    monkeypatch.setattr(TrainerEngine, "train", train)


@pytest.mark.usefixtures("untrained")
def test_an_apply_that_returns_nothing(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bitfit, "apply", nothing)
    with pytest.raises(AdaptError, match=rf"{CLASS}\.apply returned NoneType, and not the model"):
        adapt_core.run(config)


@pytest.mark.usefixtures("untrained")
def test_a_fresh_head_that_is_left_as_it_is(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Bitfit.apply

    def apply(self: Bitfit, module: nn.Module, hints: Any) -> nn.Module:
        adapted = original(self, module, hints)
        for name, each in adapted.named_parameters():
            if "classifier" in name:
                each.requires_grad_(False)
        return adapted

    monkeypatch.setattr(Bitfit, "apply", apply)
    with pytest.raises(AdaptError, match=rf"{CLASS}\.apply leaves classifier untrained, which is newly initialised"):
        adapt_core.run(config)


def test_a_merge_that_returns_nothing(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bitfit, "merge", nothing)
    with pytest.raises(AdaptError, match=rf"{CLASS}\.merge returned NoneType"):
        adapt_core.run(config)
    adapt_core.run({**config, "save": "none"}, overwrite=True)
    with pytest.raises(AdaptError, match=rf"{CLASS}\.merge returned NoneType"):
        adapt_core.merge_run(config["output_dir"])


def test_a_save_that_writes_nothing(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bitfit, "save", nothing)
    with pytest.raises(AdaptError, match=r"bitfit\.method:Bitfit\.save wrote nothing to .*model") as caught:
        adapt_core.run(config)
    assert str(Path(config["output_dir"], "checkpoints")) in caught.value.hint


def test_a_load_that_returns_nothing(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    adapt_core.run(config)
    monkeypatch.setattr(Bitfit, "load", nothing)
    with pytest.raises(AdaptError, match=rf"{CLASS}\.load returned NoneType"):
        adapt_core.load_run(config["output_dir"])
