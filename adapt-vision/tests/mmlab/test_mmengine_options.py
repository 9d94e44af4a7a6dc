"""Options of training under MMEngine's Runner that change how steps are taken, and what they are held to."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import adapt_core
from adapt_core.bundles import Hints, Model
from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_core.plugins.references import resolve
from adapt_core.runs.folder import RunFolder
from adapt_core.terminal.progress import progress_for
from adapt_core.testing.engine import SPEC, Whole
from adapt_core.testing.engines import plan_for
from adapt_core.testing.models import MODELS
from adapt_vision.engines.mmengine.options import RunnerOptions
from adapt_vision.engines.spec import MMENGINE

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")
pytest.importorskip("mmpose", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

import bitsandbytes

from adapt_vision.engines.mmengine.optimizer import wrapped_optimizer
from adapt_vision.libraries.openmmlab.blocks import blocks_of


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize(("task", "method"), [("cells", {"name": "lora", "target_modules": "conv"}), ("poses", "full")])
def test_gradient_checkpointing_computes_blocks_twice_and_changes_nothing(
    task: str, method: Any, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """YOLOX's stages, and MobileNetV2's blocks, which the library itself can recompute; with batch normalisation."""
    config = {**request.getfixturevalue(task), "method": method, "DO_EVAL": False}
    if task == "cells":
        config["task"] = {**config["task"], "image_size": 64}
    calls = {"plain": 0, "checkpointed": 0}
    running, original = "plain", nn.BatchNorm2d.forward

    def counted(layer: nn.BatchNorm2d, *arguments: Any) -> Any:
        calls[running] += torch.is_grad_enabled()
        return original(layer, *arguments)

    monkeypatch.setattr(nn.BatchNorm2d, "forward", counted)
    ends = []
    for running in calls:
        made = {**config, "output_dir": str(tmp_path / running), "GRADIENT_CHECKPOINTING": running == "checkpointed"}
        loss = adapt_core.run(made)["metrics"]["train_loss"]
        ends.append((loss, torch.load(tmp_path / running / "checkpoints" / "checkpoint-2" / "weights.pt")))
    (loss, plain), (same, checkpointed) = ends
    assert loss == same and plain.keys() == checkpointed.keys()
    assert [name for name, each in plain.items() if not torch.equal(each, checkpointed[name])] == []
    assert 1.2 < calls["checkpointed"] / calls["plain"] < 2, "the backbone runs twice, the head once"


def _engine(folder: Path, **options: Any) -> Any:
    """The engine with these options, computing on the CPU."""
    plan = plan_for(MMENGINE, SPEC, folder, **options)
    world = World()
    world.device = "cpu"
    return plan.make_engine(RunFolder(folder), world, progress_for(quiet=True))


def test_a_model_without_a_backbone_refuses_gradient_checkpointing(tmp_path: Path) -> None:
    tiny = MODELS["encoder"]
    model = Model(tiny.seeded(), None, Hints())
    inputs = dataclasses.replace(resolve(str(MMENGINE.test_inputs))(tiny), blocks=blocks_of)
    with pytest.raises(AdaptError, match=r"GRADIENT_CHECKPOINTING.*no backbone"):
        _engine(tmp_path, gradient_checkpointing=True).train(model, Whole(), inputs, None)


@pytest.mark.parametrize(
    ("optimizer", "told", "remedy"),
    [
        ("paged_adamw_32bit", "there is no GPU here", "Use adamw_torch"),
        ("paged_adamw_8bit", "there is no GPU here", "Use adamw_8bit"),
    ],
)
def test_a_paged_optimizer_of_bitsandbytes_says_what_it_lacks(
    tmp_path: Path, optimizer: str, told: str, remedy: str
) -> None:
    with pytest.raises(AdaptError, match=told) as caught:
        _engine(tmp_path, optimizer=optimizer).check()
    assert "OPTIMIZER" in caught.value.message and remedy in caught.value.hint


def test_without_bitsandbytes_its_optimizers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(AdaptError, match="adamw_8bit is one of bitsandbytes, which is not installed") as caught:
        _engine(tmp_path, optimizer="adamw_8bit").check()
    assert "pip install bitsandbytes" in caught.value.hint


RATE, DECAY, BETAS, EPSILON = 0.1, 0.3, (0.8, 0.7), 1e-3
ADAM = {"betas": BETAS, "eps": EPSILON}
EXPECTED: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "Adadelta": torch.optim.Adadelta,
    "Adafactor": torch.optim.Adafactor,
    "Adam": partial(torch.optim.Adam, **ADAM),
    "Adamax": partial(torch.optim.Adamax, **ADAM),
    "NAdam": partial(torch.optim.NAdam, **ADAM),
    "RAdam": partial(torch.optim.RAdam, **ADAM),
    "ASGD": torch.optim.ASGD,
    "Rprop": torch.optim.Rprop,
    "adamw_8bit": partial(bitsandbytes.optim.AdamW8bit, **ADAM),
    "lion_32bit": partial(bitsandbytes.optim.Lion32bit, betas=BETAS),
}


def _stepped(optimizer: torch.optim.Optimizer, layer: nn.Linear) -> None:
    """Two steps with different gradients."""
    for gradient in (0.5, -2.0):
        layer.weight.grad, layer.bias.grad = torch.full((3, 2), gradient), torch.full((3,), gradient)
        optimizer.step()


def _layer() -> nn.Linear:
    layer = nn.Linear(2, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(1.0, 7.0).reshape(3, 2))
        layer.bias.copy_(torch.arange(1.0, 4.0))
    return layer


def _trained(optimizer: str) -> nn.Linear:
    """A layer after two steps with the options of the table."""
    layer = _layer()
    given = {"optimizer": optimizer, "lr": RATE, "weight_decay": 0.0 if optimizer == "Rprop" else DECAY}
    options = RunnerOptions(**given, beta1=BETAS[0], beta2=BETAS[1], adam_eps=EPSILON)
    _stepped(wrapped_optimizer(layer, None, options, 1.0).optimizer, layer)
    return layer


@pytest.mark.parametrize("optimizer", EXPECTED)
def test_an_optimizer_steps_as_its_library_s_own_with_these_options(optimizer: str) -> None:
    """Biases go without weight decay."""
    layer, expected = _trained(optimizer), _layer()
    decay = {} if optimizer == "Rprop" else {"weight_decay": DECAY}
    groups = [{"params": [expected.weight], **decay}, {"params": [expected.bias], **dict.fromkeys(decay, 0.0)}]
    _stepped(EXPECTED[optimizer](groups, lr=RATE), expected)
    assert torch.equal(layer.weight, expected.weight) and torch.equal(layer.bias, expected.bias)


@pytest.mark.parametrize("optimizer", ["adamw_torch", "adamw_torch_fused", "AdamW"])
def test_adamw_steps_by_its_equation(optimizer: str) -> None:
    """Loshchilov & Hutter 2019 (arXiv:1711.05101), algorithm 2, with a decay of rate times weight decay."""
    layer, expected = _trained(optimizer), _layer()
    (beta1, beta2), first, second = BETAS, 0.0, 0.0
    weight, bias = expected.weight.detach(), expected.bias.detach()
    for step, gradient in enumerate((0.5, -2.0), start=1):
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        change = RATE * (first / (1 - beta1**step)) / ((second / (1 - beta2**step)) ** 0.5 + EPSILON)
        weight, bias = weight * (1 - RATE * DECAY) - change, bias - change
    assert torch.allclose(layer.weight, weight, rtol=1e-5) and torch.allclose(layer.bias, bias, rtol=1e-5)
