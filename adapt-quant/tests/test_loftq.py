"""LoftQ's start on a 4-bit base, against the singular values that NumPy finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapt_core import AdaptError, apply_method
from adapt_core.bundles import Hints
from adapt_core.methods.lora.loftq import LoftQ
from adapt_core.methods.lora.options import LoraOptions
from adapt_core.testing import MODELS
from adapt_core.testing.promises import outputs_of

R = 4
LOFTQ = {"init_lora_weights": "loftq", "r": R, "dropout": 0.0}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    module: Any = MODELS["causal_lm"].seeded()
    module.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def quantized(checkpoint: Path) -> Any:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    return AutoModelForCausalLM.from_pretrained(checkpoint, quantization_config=settings, dtype=torch.float32)


def layers(module: Any) -> dict[str, Any]:
    found = {name: layer for name, layer in module.named_modules() if type(layer).__name__ == "Linear4bit"}
    return {name.removeprefix("base_model.model."): layer for name, layer in found.items() if hasattr(layer, "lora_A")}


@pytest.mark.parametrize("alpha", [R, 16])
def test_the_update_is_the_nearest_of_its_rank_to_what_was_lost(checkpoint: Path, alpha: int) -> None:
    """Eckart and Young: what is left has the norm of the singular values that were cut off."""
    from bitsandbytes.functional import dequantize_4bit
    from safetensors.torch import load_file

    originals = load_file(checkpoint / "model.safetensors")
    found = layers(apply_method(quantized(checkpoint), "lora", **LOFTQ, alpha=alpha))
    assert len(found) == 14
    for name, layer in found.items():
        held = layer.base_layer.weight
        lost = (
            (originals[f"{name}.weight"] - dequantize_4bit(held.data, held.quant_state).float().cpu()).double().numpy()
        )
        update = layer.get_delta_weight("default").detach().cpu().double().numpy()
        expected = np.sqrt((np.linalg.svd(lost, compute_uv=False)[R:] ** 2).sum())
        assert np.linalg.norm(lost) > 1.05 * expected > 0
        assert np.linalg.norm(lost - update) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", ["causal_lm", "tied_lm"])
def test_it_starts_nearer_to_the_model_before_quantization(name: str, tmp_path: Path) -> None:
    """Also where the checkpoint holds transposed weights: a wrong start would be farther away than none."""
    tiny = MODELS[name]
    plain: Any = tiny.seeded()
    checkpoint = tmp_path / "base"
    plain.save_pretrained(checkpoint)
    with torch.no_grad():
        truth = outputs_of(tiny, tiny.seeded())
        base = outputs_of(tiny, quantized(checkpoint))
        start = outputs_of(tiny, apply_method(quantized(checkpoint), "lora", **{**LOFTQ, "r": 32}))
    assert (start - truth).norm() < 0.7 * (base - truth).norm()


def test_plain_peft_loads_it_on_the_same_quantized_base(checkpoint: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    tiny = MODELS["causal_lm"]
    module = apply_method(quantized(checkpoint), "lora", **LOFTQ).eval()
    module.save_pretrained(tmp_path / "saved")
    again = PeftModel.from_pretrained(quantized(checkpoint), tmp_path / "saved").eval()
    assert torch.allclose(outputs_of(tiny, again), outputs_of(tiny, module), atol=1e-6)


def test_a_rank_beyond_the_layers_own_holds_all_that_was_lost(checkpoint: Path) -> None:
    layer = layers(apply_method(quantized(checkpoint), "lora", **{**LOFTQ, "r": 100}))["model.layers.0.mlp.up_proj"]
    from bitsandbytes.functional import dequantize_4bit
    from safetensors.torch import load_file

    held = layer.base_layer.weight
    whole = dequantize_4bit(held.data, held.quant_state).float() + layer.get_delta_weight("default").detach()
    original = load_file(checkpoint / "model.safetensors")["model.layers.0.mlp.up_proj.weight"]
    assert torch.allclose(whole, original, atol=1e-5)


def test_a_base_without_its_weights_from_before_is_refused(checkpoint: Path) -> None:
    base = quantized(checkpoint)
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(AdaptError, match=r"reads the weights from before quantization out of model.safetensors"):
        apply_method(base, "lora", **LOFTQ)


def test_further_steps_are_refused(checkpoint: Path) -> None:
    """They would quantize other weights than the base has."""
    with pytest.raises(AdaptError, match=r"method.loftq_iter: 2 steps quantize other weights than the base's"):
        apply_method(quantized(checkpoint), "lora", **LOFTQ, loftq_iter=2)


def test_a_base_in_8_bits_is_refused(checkpoint: Path) -> None:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    settings = BitsAndBytesConfig(load_in_8bit=True)
    base = AutoModelForCausalLM.from_pretrained(checkpoint, quantization_config=settings)
    with pytest.raises(AdaptError, match="no layer that gets an update in LlamaForCausalLM is in 4 bits"):
        apply_method(base, "lora", **LOFTQ)


def test_a_checkpoint_is_continued_on_the_same_quantized_base(checkpoint: Path, tmp_path: Path) -> None:
    methods = [LoftQ(LoraOptions(**LOFTQ)) for _ in range(2)]
    trained, again = (method.apply(quantized(checkpoint), Hints()) for method in methods)
    with torch.no_grad():
        for each in trained.parameters():
            if each.requires_grad:
                each += 0.1 * torch.randn_like(each)
    trained.save_pretrained(tmp_path / "checkpoint")  # type: ignore[operator]
    methods[0].save_state(trained, tmp_path / "checkpoint")
    methods[1].load_state(again, tmp_path / "checkpoint")
    expected = {name: each for name, each in trained.named_parameters() if each.requires_grad}
    found = {name: each for name, each in again.named_parameters() if each.requires_grad}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], each) for name, each in expected.items())
