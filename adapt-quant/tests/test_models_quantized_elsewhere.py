"""Models that a user has quantized with transformers alone are known for what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from adapt_core import AdaptError, apply_method
from adapt_core.models.quantized import quantized_widths
from adapt_core.pipeline.resources import count_parameters
from adapt_core.testing import MODELS


@pytest.mark.parametrize(
    ("bits", "settings"),
    [
        (4, {"load_in_4bit": True}),
        (4, {"load_in_4bit": True, "bnb_4bit_quant_storage": torch.bfloat16}),
        (8, {"load_in_8bit": True}),
        (8, {"load_in_8bit": True, "llm_int8_has_fp16_weight": True}),
    ],
)
def test_their_width_decides_on_the_method(bits: int, settings: dict[str, Any], tmp_path: Path) -> None:
    tiny = MODELS["causal_lm"]
    plain: Any = tiny.seeded()
    plain.save_pretrained(tmp_path)
    module = AutoModelForCausalLM.from_pretrained(tmp_path, quantization_config=BitsAndBytesConfig(**settings))
    assert quantized_widths(module) == [bits]
    assert count_parameters(module)["total"] == sum(each.numel() for each in plain.parameters())
    with pytest.raises(AdaptError, match=f"method boft cannot train on a base in {bits} bits"):
        apply_method(module, "boft")
    adapted = apply_method(module, "lora", r=2)
    assert any(each.requires_grad for each in adapted.parameters())
