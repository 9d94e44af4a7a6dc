"""The phases of a method: groups of parameters reach the optimizer, and a name that is nearly right is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from fake_distributions import install
from toy_runs import optimizer

import adapt_core
from adapt_core.interfaces import Method
from adapt_core.testing import MODELS

LORA_PLUS = """
from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import MethodSpec
from adapt_core.methods.lora.method import Lora
from adapt_core.methods.lora.options import LoraOptions
from adapt_core.options import option

class Options(LoraOptions):
    ratio: float = option(16, gt=0, help="Of the rate of B to that of A (Hayou et al. 2024, arXiv:2402.12354).")

class LoraPlus(Lora):
    def start(self):
        return {"init_lora_weights": True}

    def config(self, module, hints):
        plain = LoraOptions(**{name: value for name, value in self.options if name != "ratio"})
        return Lora(plain).config(module, hints)

    def parameter_groups(self, module, lr):
        own = [each for name, each in module.named_parameters() if ".lora_B." in name]
        return [{"params": own, "lr": lr * self.options.ratio}]

@hookimpl
def adapt_methods():
    yield MethodSpec(name="lora_plus", summary="LoRA+.", target="lora_plus_plugin:LoraPlus",
        options="lora_plus_plugin:Options", head="beside", saves="adapter", learning_rate=2e-4)
"""


@pytest.fixture
def lora_plus(site: Path) -> None:
    install(site, "lora-plus", "1.0", {"lora_plus_plugin": LORA_PLUS}, {"lora_plus": "lora_plus_plugin"})


@pytest.mark.usefixtures("lora_plus", "no_reload")
def test_groups_of_parameters_reach_the_optimizer(toy_config: Any) -> None:
    """LoRA+ as a plugin: B is trained at a rate of its own, and the schedule moves both."""
    training = {"max_steps": 4, "lr": 1e-3, "weight_decay": 0.1, "scheduler": "linear"}
    config = toy_config(method={"name": "lora_plus", "ratio": 8}, training=training)
    adapt_core.run(config)
    groups = optimizer(config["output_dir"])["param_groups"]
    first = {group["initial_lr"] for group in groups}
    assert sorted(first) == pytest.approx([1e-3, 8e-3])
    rates = {round(group["lr"] / group["initial_lr"], 6) for group in groups}
    assert len(rates) == 1, "the schedule moves all groups alike"


@pytest.mark.usefixtures("lora_plus")
def test_in_a_loop_of_one_s_own_groups_must_be_asked_for() -> None:
    """LoRA+ was silently plain LoRA there."""
    with pytest.raises(adapt_core.AdaptError, match="while the model is trained: parameter_groups"):
        adapt_core.apply_method(MODELS["encoder"].seeded(), "lora_plus")
    module, method = adapt_core.apply_method(MODELS["encoder"].seeded(), "lora_plus", phases=True, ratio=4)
    (group,) = method.parameter_groups(module, 0.5)
    assert group["lr"] == 2.0
    assert len(group["params"]) == sum(".lora_B." in name for name, _ in module.named_parameters()) > 0
    torch.optim.AdamW([group], lr=0.5)


def test_without_phases_a_method_is_the_module_alone() -> None:
    assert isinstance(adapt_core.apply_method(MODELS["encoder"].seeded(), "lora"), torch.nn.Module)
    module, method = adapt_core.apply_method(MODELS["encoder"].seeded(), "lora", phases=True)
    assert method.parameter_groups(module, 1e-3) is None


@pytest.mark.parametrize("name", ["before_trainig", "after_steps", "calibrates", "save_states", "parameter_group"])
def test_a_name_near_a_phase_is_refused_when_the_class_is_made(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} is no phase of a method; did you mean"):
        type("Mine", (Method,), {name: lambda self, *_: None})
