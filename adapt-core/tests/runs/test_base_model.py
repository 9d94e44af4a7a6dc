"""A base model whose weights are others, under the same name and with the same shapes, is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_runs import stopped_at

import adapt_core
from adapt_core import AdaptError
from adapt_core.bundles import Hints, Model
from adapt_core.runs.base_model import fingerprint

CHANGED = r"The base model .*own is not the one with which the run in .* began: its weights are others"


@pytest.fixture
def own_base(toy_config: Any, tmp_path: Path) -> dict[str, Any]:
    """A configuration on a base model of the test's own."""
    base = tmp_path / "own"
    shutil.copytree(toy_config()["model"]["path"], base)
    return dict(toy_config(model={"path": str(base)}, training={"max_steps": 4}))


def train_further(config: dict[str, Any]) -> None:
    """What another fine-tuning would leave in the place of the base model."""
    file = Path(config["model"]["path"]) / "model.safetensors"
    moved = {name: each + 0.01 * torch.randn_like(each) for name, each in load_file(file).items()}
    save_file(moved, file, metadata={"format": "pt"})


@pytest.mark.usefixtures("no_reload")
def test_an_adapter_is_not_used_with_other_weights(own_base: dict[str, Any]) -> None:
    adapt_core.run(own_base)
    adapt_core.load_run(own_base["output_dir"])
    train_further(own_base)
    for use in (adapt_core.load_run, adapt_core.evaluate_run, adapt_core.merge_run):
        with pytest.raises(AdaptError, match=CHANGED):
            use(own_base["output_dir"])


@pytest.mark.usefixtures("no_reload")
def test_a_whole_model_needs_no_base(own_base: dict[str, Any]) -> None:
    adapt_core.run({**own_base, "method": "full"})
    train_further(own_base)
    adapt_core.load_run(own_base["output_dir"])


def test_a_run_is_not_resumed_with_other_weights(own_base: dict[str, Any]) -> None:
    config = {**own_base, "training": {"max_steps": 8, "interval": "steps", "interval_steps": 2}}
    with stopped_at(5), pytest.raises(adapt_core.Interrupted):
        adapt_core.run(config)
    train_further(own_base)
    with pytest.raises(AdaptError, match=CHANGED):
        adapt_core.run(config, resume=True)


@pytest.mark.usefixtures("no_reload")
def test_adapters_of_other_weights_are_not_put_beside_each_other(own_base: dict[str, Any], tmp_path: Path) -> None:
    adapt_core.run(own_base)
    run = adapt_core.load_run(own_base["output_dir"])
    train_further(own_base)
    later = {**own_base, "output_dir": str(tmp_path / "later")}
    adapt_core.run(later)
    with pytest.raises(AdaptError, match=r"later began with other weights of the base model than .*run"):
        run.add(later["output_dir"])


def linear(seed: int = 0, width: int = 300) -> torch.nn.Sequential:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.Linear(width, 2))


def test_a_fingerprint_is_of_the_names_shapes_and_values_that_were_loaded() -> None:
    def of(module: torch.nn.Module, *fresh: str, **hints: Any) -> str:
        return fingerprint(Model(module, None, Hints(fresh=fresh, **hints)))

    whole = of(linear())
    assert of(linear()) == whole
    assert of(linear(seed=1)) != whole
    assert of(linear(width=301)) != whole
    assert of(torch.nn.ModuleDict({"a": linear()[0], "b": linear()[1]})) != whole
    half, again = linear().bfloat16(), linear().bfloat16().float()
    assert of(half) == of(again) != whole  # the same values

    other = linear()
    torch.nn.init.zeros_(other[1].weight)
    assert of(other) != whole
    assert of(other, "1") == of(linear(), "1") != whole
    assert of(other, head=("1",)) == of(linear(), "1")  # a pretrained head may be one for other labels

    own, another = (torch.nn.ParameterList([torch.full((3,), value)]) for value in (0.0, 1.0))
    assert of(own) != of(another)
    assert of(own, loose=("0",)) == of(another, loose=("0",))  # the model's own parameter, made anew
