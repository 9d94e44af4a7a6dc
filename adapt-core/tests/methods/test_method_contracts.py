"""Adapt's own methods keep the promises of the contract suite; test_peft_contracts.py has PEFT's other tuners."""

from __future__ import annotations

from typing import ClassVar

from adapt_core.kinds import Kind, MethodSpec
from adapt_core.methods.peft_tuners.table import TUNERS
from adapt_core.plugins.registry import Registry
from adapt_core.testing import MethodContract
from adapt_core.testing.settings import LINEAR, LINEAR_OR_CONV1D, SETTINGS, suites

globals().update(suites(MethodContract, [name for name in SETTINGS if name not in TUNERS]))


class TestLoraOnConvolutions(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "target_modules": "conv"}
    works_on = ("vision_transformer", "convolutional")


class TestPissa(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "pissa", "r": 4}
    works_on = LINEAR_OR_CONV1D
    layer_types = ("Linear", "Conv1D")
    moves_base = True


class TestPissaByIteration(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "pissa_niter_4", "r": 4}
    works_on = LINEAR_OR_CONV1D
    layer_types = ("Linear", "Conv1D")
    moves_base = True


class TestOlora(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "olora", "r": 4}
    layer_types = ("Linear",)
    works_on = LINEAR
    moves_base = True


class TestEva(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "eva", "r": 4}
    works_on = LINEAR_OR_CONV1D
    layer_types = ("Linear", "Conv1D")


class TestEvaWithRanksAlike(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "eva", "r": 4, "eva_rho": 1.0, "eva_whiten": True}
    works_on = LINEAR_OR_CONV1D
    layer_types = ("Linear", "Conv1D")


class TestEvaStabilized(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "eva", "r": 4, "use_rslora": True}
    works_on = LINEAR_OR_CONV1D
    layer_types = ("Linear", "Conv1D")


class TestEvaOfDora(MethodContract):
    method = "dora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "eva", "r": 4}
    works_on = LINEAR_OR_CONV1D
    layer_types = ("Linear", "Conv1D")


class TestRankStabilizedLora(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "use_rslora": True}
    works_on = LINEAR_OR_CONV1D


class TestBottleneckAfterFeedForwards(MethodContract):
    method = "bottleneck"
    options: ClassVar = {"placement": "pfeiffer", "non_linearity": "gelu"}
    layer_options: ClassVar = {"placement": None}
    works_on = LINEAR_OR_CONV1D


class TestBottleneckInParallel(MethodContract):
    method = "bottleneck"
    options: ClassVar = {"form": "parallel", "scaling": 4.0, "reduction_factor": 4}
    works_on = LINEAR_OR_CONV1D


def test_the_suite_runs_every_method_that_is_called_tested() -> None:
    entries = [entry for entry in Registry.load().entries(Kind.METHOD) if entry.distribution == "adapt-core"]
    specs = [entry.spec for entry in entries if isinstance(entry.spec, MethodSpec)]
    run = {value.method for value in globals().values() if isinstance(value, type) and hasattr(value, "method")}
    assert run == {spec.name for spec in specs if spec.support == "tested"} - set(TUNERS)
