"""Every method of the core keeps the promises of the contract suite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from adapt_core import AdaptError
from adapt_core.kinds import Kind, MethodSpec
from adapt_core.registry import Registry
from adapt_core.testing import LAYERS, MethodContract

LINEAR = ("causal_lm", "tied_lm", "encoder", "encoder_decoder", "vision_transformer")
LINEAR_ONLY = ("causal_lm", "encoder", "encoder_decoder", "vision_transformer")
WITH_HEAD = ("encoder", "vision_transformer", "convolutional")


class TestFull(MethodContract):
    method = "full"


class TestLastLayer(MethodContract):
    method = "last_layer"
    works_on = WITH_HEAD


class TestLora(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0}
    works_on = LINEAR


class TestLoraOnConvolutions(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "target_modules": "conv"}
    works_on = ("vision_transformer", "convolutional")


class TestDora(MethodContract):
    method = "dora"
    options: ClassVar = {"dropout": 0.0}
    works_on = LINEAR


class TestAdalora(MethodContract):
    method = "adalora"
    options: ClassVar = {"tinit": 2, "tfinal": 4}
    works_on = LINEAR


class TestBitfit(MethodContract):
    method = "bitfit"
    works_on = ("tied_lm", "encoder", "vision_transformer", "convolutional")


class TestPissa(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "pissa", "r": 4}
    works_on = LINEAR
    layer_types = ("Linear", "Conv1D")
    moves_base = True


class TestPissaByIteration(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "pissa_niter_4", "r": 4}
    works_on = LINEAR
    layer_types = ("Linear", "Conv1D")
    moves_base = True


class TestOlora(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "olora", "r": 4}
    layer_types = ("Linear",)
    works_on = LINEAR_ONLY
    moves_base = True


class TestEva(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "eva", "r": 4}
    works_on = LINEAR
    layer_types = ("Linear", "Conv1D")


class TestEvaWithRanksAlike(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "eva", "r": 4, "eva_rho": 1.0, "eva_whiten": True}
    works_on = LINEAR
    layer_types = ("Linear", "Conv1D")


class TestEvaStabilized(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "eva", "r": 4, "use_rslora": True}
    works_on = LINEAR
    layer_types = ("Linear", "Conv1D")


class TestEvaOfDora(MethodContract):
    method = "dora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "eva", "r": 4}
    works_on = LINEAR
    layer_types = ("Linear", "Conv1D")


class TestRankStabilizedLora(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "use_rslora": True}
    works_on = LINEAR


class TestSsf(MethodContract):
    method = "ssf"


class TestBottleneck(MethodContract):
    method = "bottleneck"
    works_on = LINEAR


class TestBottleneckAfterFeedForwards(MethodContract):
    method = "bottleneck"
    options: ClassVar = {"placement": "pfeiffer", "non_linearity": "gelu"}
    layer_options: ClassVar = {"placement": None}
    works_on = LINEAR


class TestBottleneckInParallel(MethodContract):
    method = "bottleneck"
    options: ClassVar = {"form": "parallel", "scaling": 4.0, "reduction_factor": 4}
    works_on = LINEAR


class TestIa3(MethodContract):
    method = "ia3"
    layer_options: ClassVar = {"feedforward_modules": []}
    works_on = ("causal_lm", "tied_lm", "encoder", "encoder_decoder")
    learning_rate = 5e-2


class TestVera(MethodContract):
    method = "vera"
    options: ClassVar = {"r": 16}
    works_on = LINEAR
    learning_rate = 5e-2


class TestLoha(MethodContract):
    method = "loha"
    works_on = LINEAR_ONLY


class TestLokr(MethodContract):
    method = "lokr"
    works_on = LINEAR_ONLY


class TestOft(MethodContract):
    method = "oft"
    options: ClassVar = {"oft_block_size": 8}
    works_on = LINEAR_ONLY


class TestBoft(MethodContract):
    method = "boft"
    options: ClassVar = {"boft_block_size": 4}
    works_on = LINEAR_ONLY


class TestFourierft(MethodContract):
    method = "fourierft"
    options: ClassVar = {"n_frequency": 50, "scaling": 15.0}
    works_on = LINEAR
    learning_rate = 1e-2


class TestLnTuning(MethodContract):
    method = "ln_tuning"
    works_on = LINEAR
    learning_rate = 5e-2


class TestPromptTuning(MethodContract):
    method = "prompt_tuning"
    options: ClassVar = {"num_virtual_tokens": 4}
    learning_rate = 5e-2
    works_on = ("causal_lm", "tied_lm", "encoder", "encoder_decoder")


class TestPrefixTuning(MethodContract):
    method = "prefix_tuning"
    options: ClassVar = {"num_virtual_tokens": 4}
    learning_rate = 5e-2
    works_on = ("causal_lm", "tied_lm", "encoder", "encoder_decoder")


class TestPTuning(MethodContract):
    method = "p_tuning"
    options: ClassVar = {"num_virtual_tokens": 4}
    learning_rate = 5e-2
    works_on = ("causal_lm", "tied_lm", "encoder", "encoder_decoder")


class TestAdamss(MethodContract):
    method = "adamss"
    options: ClassVar = {"r": 16, "num_subspaces": 2}
    works_on = LINEAR_ONLY


class TestBeft(MethodContract):
    method = "beft"
    works_on = LINEAR_ONLY


class TestC3a(MethodContract):
    method = "c3a"
    options: ClassVar = {"block_size": 8}
    works_on = LINEAR_ONLY
    learning_rate = 1e-1


class TestDeft(MethodContract):
    method = "deft"
    works_on = LINEAR


class TestDelora(MethodContract):
    method = "delora"
    works_on = LINEAR_ONLY


class TestFrod(MethodContract):
    method = "frod"
    works_on = LINEAR
    learning_rate = 2e-1


class TestGlora(MethodContract):
    method = "glora"
    works_on = LINEAR_ONLY


class TestGralora(MethodContract):
    method = "gralora"
    works_on = LINEAR


class TestHira(MethodContract):
    method = "hira"
    works_on = LINEAR


class TestHra(MethodContract):
    method = "hra"
    works_on = LINEAR_ONLY


class TestLily(MethodContract):
    method = "lily"
    works_on = LINEAR_ONLY


class TestMiss(MethodContract):
    method = "miss"
    options: ClassVar = {"r": 4}
    works_on = LINEAR_ONLY


class TestOsf(MethodContract):
    method = "osf"
    works_on = LINEAR_ONLY


class TestPeanut(MethodContract):
    method = "peanut"
    works_on = LINEAR_ONLY


class TestPsoft(MethodContract):
    method = "psoft"
    options: ClassVar = {"r": 8}
    works_on = LINEAR_ONLY


class TestPvera(MethodContract):
    method = "pvera"
    options: ClassVar = {"r": 16}
    works_on = LINEAR
    learning_rate = 5e-2


class TestRandlora(MethodContract):
    method = "randlora"
    works_on = LINEAR


class TestRoad(MethodContract):
    method = "road"
    options: ClassVar = {"group_size": 8}
    works_on = LINEAR_ONLY


class TestShira(MethodContract):
    method = "shira"
    options: ClassVar = {"r": 2}
    works_on = LINEAR_ONLY


class TestTinylora(MethodContract):
    method = "tinylora"
    works_on = LINEAR


class TestUnilora(MethodContract):
    method = "unilora"
    options: ClassVar = {"init_theta_d_bound": 1.0}
    works_on = LINEAR


class TestVblora(MethodContract):
    method = "vblora"
    options: ClassVar = {"vector_length": 8, "num_vectors": 20}
    works_on = LINEAR


class TestWaveft(MethodContract):
    method = "waveft"
    options: ClassVar = {"n_frequency": 50}
    works_on = LINEAR


def own_methods() -> list[MethodSpec]:
    entries = Registry.load().entries(Kind.METHOD)
    return [cast(MethodSpec, entry.spec) for entry in entries if entry.distribution == "adapt-core"]


def test_what_is_called_tested_is_run_by_the_suite() -> None:
    run = {value.method for value in globals().values() if isinstance(value, type) and hasattr(value, "method")}
    assert {spec.name for spec in own_methods() if spec.support == "tested"} == run


def test_every_declared_type_of_layer_is_one_that_the_suite_tries() -> None:
    declared = {kind for spec in own_methods() for kind in spec.module_types}
    assert declared == set(LAYERS)


@pytest.mark.parametrize(
    ("layer", "declared", "failure"),
    [
        ("LayerNorm", ("Linear", "LayerNorm"), (AdaptError, "layer is a LayerNorm, which vera does not adapt")),
        ("Linear", ("Conv1D",), (pytest.fail.Exception, "DID NOT RAISE")),
    ],
)
def test_a_declaration_of_layers_that_is_not_true_fails_the_suite(
    layer: str, declared: tuple[str, ...], failure: Any, tmp_path: Path
) -> None:
    class Wrong(TestVera):
        def _spec(self) -> MethodSpec:
            return replace(super()._spec(), module_types=declared)

    kind, says = failure
    with pytest.raises(kind, match=says):
        Wrong().test_it_adapts_the_types_of_layers_that_it_declares_and_no_others(layer, tmp_path)
