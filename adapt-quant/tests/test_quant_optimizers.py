"""The optimizers of bitsandbytes, by the names that the Trainer gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainingArguments

from adapt_core.engines.trainer.optimizer import check_optimizer, optimizer_settings
from adapt_core.engines.trainer.options import TrainerOptions
from adapt_core.errors import AdaptError


def arguments(folder: Path, name: str) -> TrainingArguments:
    return TrainingArguments(output_dir=str(folder), optim=name, report_to=[], use_cpu=not torch.cuda.is_available())


@pytest.mark.parametrize("name", ["adamw_8bit", "lion_8bit"])
def test_eight_bit_optimizers_keep_a_byte_for_each_number_of_their_state(name: str, tmp_path: Path) -> None:
    given = arguments(tmp_path, name)
    options = TrainerOptions(optimizer=name)
    check_optimizer(given, options)
    layer: Any = torch.nn.Linear(128, 128, bias=False, device=given.device)
    kind, settings = optimizer_settings(given, layer, options)
    optimizer = kind([layer.weight], **settings)
    layer.weight.grad = torch.ones_like(layer.weight)
    optimizer.step()
    assert optimizer.state[layer.weight]["state1"].dtype == torch.uint8
    assert optimizer.state[layer.weight]["state1"].numel() == 128 * 128


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to page from")
@pytest.mark.parametrize(
    ("name", "instead"), [("paged_adamw_32bit", "Use adamw_torch."), ("paged_adamw_8bit", "Use adamw_8bit.")]
)
def test_paged_optimizers_are_refused_where_there_is_no_gpu(name: str, instead: str, tmp_path: Path) -> None:
    with pytest.raises(AdaptError, match="there is no GPU here") as refused:
        check_optimizer(arguments(tmp_path, name), TrainerOptions(optimizer=name))
    assert refused.value.hint == instead
