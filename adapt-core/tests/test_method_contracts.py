"""Every method of the core keeps the promises of the contract suite."""

from __future__ import annotations

from typing import ClassVar

from adapt_core.testing import MethodContract

LINEAR = ("causal_lm", "tied_lm", "encoder", "encoder_decoder", "vision_transformer")
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
    moves_base = True


class TestPissaByIteration(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "pissa_niter_4", "r": 4}
    works_on = LINEAR
    moves_base = True


class TestOlora(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "olora", "r": 4}
    works_on = ("causal_lm", "encoder", "encoder_decoder", "vision_transformer")
    moves_base = True


class TestEva(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "eva", "r": 4}
    works_on = LINEAR


class TestEvaWithRanksAlike(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "eva", "r": 4, "eva_rho": 1.0, "eva_whiten": True}
    works_on = LINEAR


class TestEvaStabilized(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "eva", "r": 4, "use_rslora": True}
    works_on = LINEAR


class TestEvaOfDora(MethodContract):
    method = "dora"
    options: ClassVar = {"dropout": 0.0, "init_lora_weights": "eva", "r": 4}
    works_on = LINEAR


class TestRankStabilizedLora(MethodContract):
    method = "lora"
    options: ClassVar = {"dropout": 0.0, "use_rslora": True}
    works_on = LINEAR


class TestSsf(MethodContract):
    method = "ssf"


class TestIa3(MethodContract):
    method = "ia3"
    works_on = ("causal_lm", "tied_lm", "encoder", "encoder_decoder")
    learning_rate = 5e-2


class TestVera(MethodContract):
    method = "vera"
    options: ClassVar = {"r": 16}
    works_on = LINEAR
    learning_rate = 5e-2


class TestLoha(MethodContract):
    method = "loha"
    works_on = ("causal_lm", "encoder", "encoder_decoder", "vision_transformer")


class TestLokr(MethodContract):
    method = "lokr"
    works_on = ("causal_lm", "encoder", "encoder_decoder", "vision_transformer")


class TestOft(MethodContract):
    method = "oft"
    options: ClassVar = {"oft_block_size": 8}
    works_on = ("causal_lm", "encoder", "encoder_decoder", "vision_transformer")


class TestBoft(MethodContract):
    method = "boft"
    options: ClassVar = {"boft_block_size": 4}
    works_on = ("causal_lm", "encoder", "encoder_decoder", "vision_transformer")


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
