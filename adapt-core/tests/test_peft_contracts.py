"""PEFT's tuners, by PEFT's own names, keep the promises of the contract suite."""

from __future__ import annotations

from typing import ClassVar

from adapt_core.peft_plugins import TESTED
from adapt_core.testing import MethodContract

LINEAR_ONLY = ("causal_lm", "encoder", "encoder_decoder", "vision_transformer")
LINEAR = (*LINEAR_ONLY, "tied_lm")  # whose layers are transformers' Conv1D
LANGUAGE = ("causal_lm", "tied_lm", "encoder", "encoder_decoder")


class TestIa3(MethodContract):
    method = "ia3"
    layer_options: ClassVar = {"feedforward_modules": []}
    works_on = LANGUAGE
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
    works_on = LANGUAGE


class TestPrefixTuning(MethodContract):
    method = "prefix_tuning"
    options: ClassVar = {"num_virtual_tokens": 4}
    learning_rate = 5e-2
    works_on = LANGUAGE


class TestPTuning(MethodContract):
    method = "p_tuning"
    options: ClassVar = {"num_virtual_tokens": 4}
    learning_rate = 5e-2
    works_on = LANGUAGE


class TestCartridge(MethodContract):
    method = "cartridge"
    options: ClassVar = {"num_virtual_tokens": 4}
    learning_rate = 5e-2
    works_on = LANGUAGE


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


class TestSupertuning(MethodContract):
    method = "supertuning"
    options: ClassVar = {"sparsity": 0.9}
    works_on = LINEAR_ONLY


class TestTinylora(MethodContract):
    method = "tinylora"
    works_on = LINEAR


class TestTrainableTokens(MethodContract):
    method = "trainable_tokens"
    options: ClassVar = {"token_indices": list(range(3, 20))}
    works_on = LANGUAGE
    learning_rate = 5e-2


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


def test_the_suite_runs_every_tuner_that_is_called_tested() -> None:
    run = {value.method for value in globals().values() if isinstance(value, type) and hasattr(value, "method")}
    assert run == set(TESTED)
