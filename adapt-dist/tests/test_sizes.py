"""The sizes of models are those of transformers' own, and the table in the documentation is the command's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from transformers import LlamaConfig, LlamaForCausalLM

from adapt_dist.cli import app
from adapt_dist.sizes import SHAPES, WAYS, Shape, training_bytes

PAGE = Path(__file__).parents[2] / "docs" / "distributed.md"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_parameters_are_those_of_the_model(shape: Shape) -> None:
    config = LlamaConfig(
        num_hidden_layers=2,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_attention_heads=shape.width // 64,
        num_key_value_heads=shape.keys // 64,
        head_dim=64,
        vocab_size=shape.words,
        tie_word_embeddings=shape.tied,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    count = sum(each.numel() for each in model.parameters())
    assert count + (shape.layers - 2) * shape.block == shape.parameters


def test_full_training_takes_16_bytes_a_parameter_and_fsdp_divides_them() -> None:
    """Rajbhandari et al. 2020, section 3.1, with values in float32: 4 + 4 + 8."""
    shape, (ddp, fsdp, *_) = SHAPES[0], WAYS
    assert training_bytes(shape, ddp, 8) == 16 * shape.parameters
    difference = training_bytes(shape, fsdp, 8) - training_bytes(shape, fsdp, 16)
    assert difference == pytest.approx(16 * shape.parameters / 16, abs=1)


def test_fsdp_divides_the_codes_of_a_base_in_4_bits_and_not_its_scales() -> None:
    """A float32 for each 64 weights of a linear layer (Dettmers et al. 2023, section 2) is in every process."""
    shape, (*_, ddp, fsdp) = SHAPES[0], WAYS
    scales = 4 * shape.layers * sum(ins * outs // 64 for ins, outs in shape.linear)
    difference = training_bytes(shape, fsdp, 8) - training_bytes(shape, fsdp, 16)
    assert difference == pytest.approx((training_bytes(shape, ddp, 8) - scales) / 16, abs=1)


def test_the_documentation_has_the_table_that_the_command_prints() -> None:
    shown = CliRunner().invoke(app, ["sizes"], catch_exceptions=False)
    assert shown.exit_code == 0
    assert shown.output.strip() in PAGE.read_text(encoding="utf-8")


def test_numbers_of_gpus_are_numbers() -> None:
    shown = CliRunner().invoke(app, ["sizes", "--gpus", "1,two"])
    assert shown.exit_code == 2 and "expected numbers above 0" in shown.output
