"""bitsandbytes reorders 4-bit weights on some CPUs in the first evaluation; what is trained must not notice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from quantized_models import quantized

import adapt_core
from adapt_core.testing import MODELS


@pytest.mark.parametrize("double", [True, False])
def test_an_evaluation_leaves_the_weights_as_they_are(
    double: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluated and put into a checkpoint, a model in training goes on with the weights and gradients that it had."""
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: True)
    tiny = MODELS["encoder"]
    base, using = quantized(tiny.seeded(), tmp_path, "bnb_4bit", compute_dtype="float32", double_quant=double)
    assert base.bert.pooler.dense.weight.quant_state is not None
    adapted: Any = adapt_core.apply_method(base, "lora", dropout=0.0)
    batch = tiny.batch_for(base)

    def step() -> dict[str, torch.Tensor]:
        adapted.train()
        adapted.zero_grad()
        adapted(**batch).loss.backward()
        return {name: each.grad for name, each in adapted.named_parameters() if each.grad is not None}

    before = step()
    with torch.no_grad():
        expected = adapted.eval()(**batch).logits
        adapted.state_dict()
        assert torch.equal(adapted(**batch).logits, expected)
    after = step()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    using.dequantize(base)
    with torch.no_grad():
        assert torch.allclose(adapted.eval()(**batch).logits, expected, atol=1e-5)
