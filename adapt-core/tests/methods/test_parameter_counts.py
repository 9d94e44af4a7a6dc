"""The number of trained parameters is that of the closed form, on OpenLLaMA-3B's shape without its weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adapt_core import apply_method
from adapt_core.models.counting import count_parameters

WIDTH, INNER, LAYERS, VOCABULARY = 3200, 8640, 26, 32000
ATTENTION = [(WIDTH, WIDTH)] * 4
MLP = [(WIDTH, INNER), (WIDTH, INNER), (INNER, WIDTH)]
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture
def open_llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=32,
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        return LlamaForCausalLM(config)


def trained(module: Any, method: str, **options: Any) -> int:
    with torch.device("meta"):
        return count_parameters(apply_method(module, method, **options))["trainable"]


def low_rank(r: int, shapes: list[tuple[int, int]]) -> int:
    """A of shape (r, in) and B of shape (out, r)."""
    return sum(r * (inputs + outputs) for inputs, outputs in shapes)


@pytest.mark.parametrize(("r", "expected"), [(8, 2_662_400), (16, 5_324_800)])
def test_lora_on_queries_and_values(open_llama: Any, r: int, expected: int) -> None:
    assert LAYERS * low_rank(r, [(WIDTH, WIDTH)] * 2) == expected
    assert trained(open_llama, "lora", r=r, target_modules=["q_proj", "v_proj"]) == expected


def test_lora_on_all_linear_layers(open_llama: Any) -> None:
    assert LAYERS * low_rank(8, ATTENTION + MLP) == 12_712_960
    assert trained(open_llama, "lora", r=8) == 12_712_960


def test_lora_on_all_linear_layers_and_the_output_layer(open_llama: Any) -> None:
    assert LAYERS * low_rank(8, ATTENTION + MLP) + low_rank(8, [(WIDTH, VOCABULARY)]) == 12_994_560
    assert trained(open_llama, "lora", r=8, target_modules=[*LINEAR, "lm_head"]) == 12_994_560


def test_dora_adds_a_magnitude_for_every_output(open_llama: Any) -> None:
    shapes = ATTENTION + MLP
    expected = LAYERS * (low_rank(16, shapes) + sum(outputs for _, outputs in shapes))
    assert trained(open_llama, "dora") == expected


def test_ssf_trains_two_numbers_for_every_output(open_llama: Any) -> None:
    expected = LAYERS * 2 * sum(outputs for _, outputs in ATTENTION + MLP)
    assert trained(open_llama, "ssf") == expected  # its normalisation is none that has a shift


def test_ia3_trains_keys_values_and_the_inner_activations(open_llama: Any) -> None:
    expected = LAYERS * (WIDTH + WIDTH + INNER)  # outputs of k_proj and v_proj, inputs of down_proj
    assert trained(open_llama, "ia3") == expected


def test_vera_trains_two_vectors_a_layer(open_llama: Any) -> None:
    expected = LAYERS * sum(16 + outputs for _, outputs in ATTENTION + MLP)  # d of r entries, b of one an output
    assert trained(open_llama, "vera", r=16) == expected
