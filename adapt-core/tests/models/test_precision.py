"""What is trained is float32, whatever precision a model is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import adapt_core
from adapt_core import AdaptError, apply_method
from adapt_core.testing import MODELS

HALVES = [torch.bfloat16, torch.float16]


def dtypes(module: nn.Module, *, trained: bool) -> set[torch.dtype]:
    return {each.dtype for each in module.parameters() if each.requires_grad is trained}


def learns(module: nn.Module, batch: dict[str, Any]) -> bool:
    """Whether a few steps of the usual optimizer bring a finite loss down."""
    optimizer = torch.optim.AdamW([each for each in module.parameters() if each.requires_grad], lr=1e-2)
    losses = []
    for _ in range(5):
        loss = module.train()(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    return bool(torch.isfinite(torch.tensor(losses)).all()) and losses[-1] < losses[0]


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("method", ["full", "last_layer", "lora", "bitfit", "ssf", "ln_tuning", "prompt_tuning"])
def test_a_classifier_in_16_bits_is_trained_in_32(method: str, dtype: torch.dtype) -> None:
    """Its head is one of its own weights, beside whatever the method adds."""
    tiny = MODELS["encoder"]
    module = apply_method(tiny.seeded().to(dtype), method)
    assert dtypes(module, trained=True) == {torch.float32}
    assert learns(module, tiny.batch())


def test_a_frozen_base_in_bfloat16_stays_so_under_an_adapter() -> None:
    tiny = MODELS["causal_lm"]
    module = apply_method(tiny.seeded().bfloat16(), "lora")
    assert dtypes(module, trained=False) == {torch.bfloat16}
    assert dtypes(module, trained=True) == {torch.float32}
    assert learns(module, tiny.batch())


def test_a_frozen_base_in_float16_does_not() -> None:
    """Gradients through it leave the range of float16; the Trainer scales them, a loop of one's own may not."""
    module = apply_method(MODELS["causal_lm"].seeded().half(), "lora")
    assert dtypes(module, trained=False) == dtypes(module, trained=True) == {torch.float32}


def test_values_are_kept_and_weights_that_are_shared_stay_so() -> None:
    plain = MODELS["tied_lm"].seeded().bfloat16()
    expected = {name: each.detach().float() for name, each in plain.named_parameters()}
    module: Any = apply_method(plain, "full")
    assert all(torch.equal(each, expected[name]) for name, each in module.named_parameters())
    assert module.lm_head.weight is module.transformer.wte.weight


def test_small_updates_arrive() -> None:
    """An update of a thousandth of a weight's size rounds away in bfloat16, which has eight bits."""
    module: Any = apply_method(nn.Sequential(nn.Linear(8, 8)).bfloat16(), "full")
    before = module[0].weight.detach().clone()
    with torch.no_grad():
        module[0].weight *= 1.001
    assert not torch.equal(module[0].weight, before)
    assert torch.allclose(module[0].weight / before, torch.tensor(1.001))


def test_a_task_that_loads_16_bits_to_be_trained_is_told_before_training(toy_config: Any, tmp_path: Path) -> None:
    """The toy task loads a checkpoint as it is stored, as a third party's may."""
    from transformers import BertModel

    BertModel.from_pretrained(toy_config()["model"]["path"]).bfloat16().save_pretrained(tmp_path / "half")
    with pytest.raises(AdaptError, match=r"classifier\.\S+ would be trained in bfloat16") as refused:
        adapt_core.run(toy_config(model={"path": str(tmp_path / "half")}))
    assert "dtype=torch.float32" in refused.value.hint
    assert not list((tmp_path / "run").glob("checkpoints/*"))
