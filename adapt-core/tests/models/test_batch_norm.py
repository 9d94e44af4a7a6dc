"""Batch normalisation beside an adapter: held as it was, or trained and saved with its running statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from adapt_core import AdaptError, ConfigError, apply_method
from adapt_core.config.validate import validate_options
from adapt_core.errors import UsageError
from adapt_core.kinds import Kind
from adapt_core.models.architecture import hints_for
from adapt_core.models.batch_norm import hold_statistics
from adapt_core.pipeline.applying import applied
from adapt_core.plan.build import build_plan
from adapt_core.plugins.registry import Registry
from adapt_core.testing import MODELS

RESNET = MODELS["convolutional"]
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "lora": ("lora", {"target_modules": "conv", "dropout": 0.0, "r": 2}),
    "ssf": ("ssf", {}),
    "bitfit": ("bitfit", {}),
    "loha": ("loha", {"target_modules": "conv", "r": 2}),
    "lora with biases": ("lora", {"target_modules": "conv", "dropout": 0.0, "r": 2, "bias": "all"}),
}
STEPS = 3


def made(case: str) -> Any:
    name, options = METHODS[case]
    registry = Registry.load()
    entry = registry.get(Kind.METHOD, name)
    return registry.load_target(entry)(validate_options(registry.options(entry.spec), options, name))


def trained(case: str, *, train_batch_norm: bool) -> tuple[nn.Module, Any]:
    """An adapted model after a few steps, and its method."""
    method = made(case)
    base = RESNET.seeded()
    hints = hints_for(base, ["classifier.1.weight"])
    module = applied(method, base, hints, train_batch_norm=train_batch_norm)
    module.train()
    optimizer = torch.optim.SGD([each for each in module.parameters() if each.requires_grad], lr=0.1)
    for _ in range(STEPS):
        optimizer.zero_grad()
        module(**RESNET.batch()).loss.backward()
        optimizer.step()
    return module.eval(), method


def logits(module: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = module.eval()(**RESNET.batch()).logits
    return found


def statistics(module: nn.Module) -> dict[str, torch.Tensor]:
    """The running statistics that the model computes with, by the layer's name in the base model."""
    found = {}
    for name, layer in module.named_modules():
        if isinstance(layer, _BatchNorm) and "original_module" not in name and layer.running_mean is not None:
            for part in ("base_model.model.", ".modules_to_save.default", ".base_layer"):
                name = name.replace(part, "")
            found[name] = torch.cat([layer.running_mean, layer.running_var])
    return found


@pytest.mark.parametrize("case", METHODS)
def test_without_the_option_statistics_do_not_move(case: str) -> None:
    before = statistics(RESNET.seeded())
    after = statistics(trained(case, train_batch_norm=False)[0])
    assert before.keys() == after.keys() and len(before) > 3
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("case", ["lora", "ssf", "loha"])
def test_with_it_they_move_and_are_saved_and_merged(case: str, tmp_path: Path) -> None:
    module, method = trained(case, train_batch_norm=True)
    before, after = statistics(RESNET.seeded()), statistics(module)
    assert before.keys() == after.keys()
    assert not any(torch.equal(before[name], after[name]) for name in before)
    expected = logits(module)
    method.save(module, tmp_path / "saved")

    base = RESNET.seeded()
    again = method.load(base, tmp_path / "saved", hints_for(base))
    assert torch.allclose(logits(again), expected, atol=1e-6)
    assert all(torch.equal(each, after[name]) for name, each in statistics(again).items())
    counts = [
        layer.num_batches_tracked
        for name, layer in again.named_modules()
        if name.endswith("_to_save.default") and isinstance(layer, _BatchNorm)
    ]
    assert len(counts) == len(before) and all(count == 1 + STEPS for count in counts)  # one by seeded()

    merged = method.merge(again)
    assert torch.allclose(logits(merged), expected, atol=1e-5)
    assert all(torch.equal(each, after[name]) for name, each in statistics(merged).items())


def test_plain_peft_loads_it(tmp_path: Path) -> None:
    from peft import PeftModel

    module, method = trained("lora", train_batch_norm=True)
    method.save(module, tmp_path)
    assert torch.allclose(logits(PeftModel.from_pretrained(RESNET.seeded(), tmp_path)), logits(module), atol=1e-6)


def test_a_checkpoint_restores_the_statistics(tmp_path: Path) -> None:
    """As the Trainer loads one: into a module that the method has been applied to."""
    module, method = trained("lora", train_batch_norm=True)
    method.save(module, tmp_path)
    fresh: Any = apply_method(RESNET.seeded(), "lora", train_batch_norm=True, **METHODS["lora"][1])
    fresh.load_adapter(tmp_path, "default", is_trainable=True)
    expected = statistics(module)
    assert all(torch.equal(each, expected[name]) for name, each in statistics(fresh).items())


def test_the_statistics_are_the_running_means_of_what_was_seen() -> None:
    """Momentum 0.1 and the unbiased variance, PyTorch's definition, in NumPy."""
    name, start = next(iter(statistics(RESNET.seeded()).items()))
    mean, variance = np.split(start.double().numpy(), 2)
    module = apply_method(RESNET.seeded(), "lora", train_batch_norm=True, **METHODS["lora"][1])
    seen: list[torch.Tensor] = []
    layer = next(layer for key, layer in module.named_modules() if key.endswith(f"{name}.modules_to_save.default"))
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    module.train()
    module(**RESNET.batch())
    (batch,) = [each.double().numpy() for each in seen]
    values = batch.transpose(1, 0, 2, 3).reshape(batch.shape[1], -1)
    expected = np.concatenate([0.9 * mean + 0.1 * values.mean(1), 0.9 * variance + 0.1 * values.var(1, ddof=1)])
    assert statistics(module)[name].double().numpy() == pytest.approx(expected, abs=1e-5)


def test_trained_batch_normalisation_gets_no_adapter_beside() -> None:
    """Its own scale and shift are trained: SSF's would do the same twice."""
    module = apply_method(RESNET.seeded(), "ssf", train_batch_norm=True)
    adapted = [layer.base_layer for layer in module.modules() if type(layer).__name__ == "SsfLayer"]
    assert adapted and not any(isinstance(layer, _BatchNorm) for layer in adapted)


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(AdaptError, match="BertForSequenceClassification has no batch normalisation outside its head"):
        apply_method(MODELS["encoder"].seeded(), "lora", train_batch_norm=True)
    with pytest.raises(UsageError, match="train_batch_norm is for adapters"):
        apply_method(RESNET.seeded(), "full", train_batch_norm=True)
    with pytest.raises(
        AdaptError,
        match=r"normalization is trained whole anyway, and so are \d+ more: .* method.train_batch_norm asks",
    ):
        apply_method(RESNET.seeded(), "ssf", train_batch_norm=True, target_modules=["normalization"])
    with pytest.raises(AdaptError, match=r"bitfit: ResNet.* has no bias outside its head"):  # all are batch norm's
        apply_method(RESNET.seeded(), "bitfit", train_batch_norm=True)


def test_a_method_that_holds_it_is_refused() -> None:
    class Holds:
        def apply(self, module: nn.Module, hints: Any) -> nn.Module:
            hold_statistics(module, trained=True)
            return module

    with pytest.raises(AdaptError, match="Holds keeps batch normalisation as it is"):
        applied(cast(Any, Holds()), RESNET.seeded(), hints_for(RESNET.seeded()), train_batch_norm=True)


def test_a_configuration_says_so_for_adapters_only(toy: dict[str, Any]) -> None:
    plan = build_plan({**toy, "method": {"name": "lora", "train_batch_norm": True}})
    assert plan.train_batch_norm and plan.canonical()["method"]["train_batch_norm"] is True
    assert not build_plan(toy).train_batch_norm
    with pytest.raises(ConfigError, match=r"train_batch_norm: this is for adapters, and the method full trains batch"):
        build_plan({**toy, "method": {"name": "full", "train_batch_norm": True}})
    with pytest.raises(ConfigError, match=r"train_batch_norm: this is for adapters, and the method last_layer"):
        build_plan({**toy, "method": {"name": "last_layer", "train_batch_norm": True}})


@pytest.mark.usefixtures("no_reload")
def test_a_run_takes_it_from_the_configuration(toy_config: Any) -> None:
    import adapt_core

    with pytest.raises(AdaptError, match=r"method\.train_batch_norm: BertForSequenceClassification has no batch"):
        adapt_core.run(toy_config(method={"name": "lora", "train_batch_norm": True}))


def test_adaloras_checkpoint_restores_the_statistics(tmp_path: Path) -> None:
    registry = Registry.load()
    entry = registry.get(Kind.METHOD, "adalora")
    options = {"target_modules": "conv", "tinit": 1, "tfinal": 1}

    def fresh() -> tuple[nn.Module, Any]:
        method = registry.load_target(entry)(validate_options(registry.options(entry.spec), options, "adalora"))
        base = RESNET.seeded()
        return applied(method, base, hints_for(base, ["classifier.1.weight"]), train_batch_norm=True), method

    module, method = fresh()
    method.before_training(module, 10)
    with torch.no_grad():
        module.train()(**RESNET.batch())  # moves the statistics
    method.save_state(module, tmp_path)
    again, other = fresh()
    other.before_training(again, 10)
    other.load_state(again, tmp_path)
    expected, found = statistics(module), statistics(again)
    assert any(not torch.equal(expected[name], each) for name, each in statistics(RESNET.seeded()).items())
    assert all(torch.equal(expected[name], found[name]) for name in expected)
