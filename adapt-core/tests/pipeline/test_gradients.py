"""What the model never calls is trained in vain: a run says so, and one that would train nothing else ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import adapt_core
from adapt_core import AdaptError
from adapt_core.engines.trainer.callbacks import MethodPhases

pytestmark = pytest.mark.usefixtures("no_reload")
QUICK = {"max_steps": 3}


@pytest.fixture
def with_an_idle_layer(toy_config: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes configurations of the toy task on a model with a layer that it never calls."""
    import toy_task

    load = toy_task.Toy.load_model

    def loaded(*args: Any, **kwargs: Any) -> Any:
        model = load(*args, **kwargs)
        model.module.idle = nn.Linear(16, 16)
        return replace(model, hints=replace(model.hints, fresh=()))

    monkeypatch.setattr(toy_task.Toy, "load_model", loaded)
    return lambda **changes: toy_config(training=QUICK, **changes)


@pytest.mark.parametrize("method", ["lora", "adalora", "ssf", "bitfit"])
def test_a_run_that_would_train_the_head_only_ends(with_an_idle_layer: Any, method: str) -> None:
    options = {"tinit": 0, "tfinal": 0} if method == "adalora" else {}
    config = with_an_idle_layer(method={"name": method, "target_modules": ["idle"], **options})
    with pytest.raises(AdaptError, match=rf"Nothing that {method} trains beside the head has a gradient, idle\."):
        adapt_core.run(config)
    assert not Path(config["output_dir"], "model").exists()


def test_so_does_one_that_would_train_nothing_at_all(with_an_idle_layer: Any) -> None:
    config = with_an_idle_layer(method={"name": "lora", "target_modules": ["idle"], "train_head": False})
    with pytest.raises(AdaptError, match="Nothing that lora trains has a gradient: the model never calls the layers"):
        adapt_core.run(config)


def test_a_part_without_gradients_is_named(with_an_idle_layer: Any, capfd: pytest.CaptureFixture[str]) -> None:
    adapt_core.run(with_an_idle_layer(method={"name": "lora", "target_modules": ["idle", "query"]}))
    said = "2 of 6 parameters that lora trains had no gradient in the first step, idle.lora_A.default.weight among them"
    assert said in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize("method", ["lora", "last_layer", "full"])
def test_nothing_is_said_where_all_that_is_trained_is_used(
    toy_config: Any, capfd: pytest.CaptureFixture[str], method: str
) -> None:
    adapt_core.run(toy_config(method=method, training=QUICK))
    assert "gradient" not in capfd.readouterr().err


def test_the_gradients_of_a_step_that_was_skipped_say_nothing_to_the_method() -> None:
    """In float16 they overflow now and then; the optimizer takes no step then."""
    layer = nn.Linear(2, 2)
    seen = []

    class Method:
        def after_step(self, module: nn.Module, step: int) -> None:
            seen.append((step, float(module.weight.grad.abs().sum())))  # type: ignore[union-attr,operator]

    phases = MethodPhases(Method())  # type: ignore[arg-type]
    for skipped in (False, True):
        layer.weight.grad = torch.full((2, 2), torch.inf if skipped else 1.0)
        optimizer = SimpleNamespace(step_was_skipped=skipped)
        state = SimpleNamespace(global_step=len(seen))
        phases.on_optimizer_step(None, state, None, model=layer, optimizer=optimizer)  # type: ignore[arg-type]
    assert seen == [(1, 4.0), (2, 0.0)]
