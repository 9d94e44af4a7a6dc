"""Tiny models of every shape that a method may meet, built on the spot with random weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    ResNetConfig,
    ResNetForImageClassification,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
)

WIDTH, VOCABULARY, LABELS = 64, 60, 4  # bitsandbytes quantizes in blocks of 64
NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}  # a loss that falls is to be seen soon


@dataclass(frozen=True)
class Tiny:
    """A tiny model and data for it.

    Attributes:
        name: its key in :data:`MODELS`.
        build: makes it, with the weights of a seed.
        batch: makes a batch of 8 rows with labels, the arguments of a call.
        fresh: the head that a method is told is newly initialised.
        targets: the layers that a method is told to adapt; none where its options say that.
    """

    name: str
    build: Callable[[], nn.Module]
    batch: Callable[[], dict[str, Tensor]]
    fresh: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    def seeded(self, seed: int = 0) -> nn.Module:
        """The model with the weights of a seed, in evaluation mode, after a batch that has moved running statistics."""
        module = copy.deepcopy(_built(self, seed))
        torch.manual_seed(seed)
        return module

    def batch_for(self, module: nn.Module) -> dict[str, Tensor]:
        """The batch on the device of a model: a quantizer may have put it on a GPU."""
        device = next(module.parameters()).device
        return {name: each.to(device) for name, each in self.batch().items()}


@cache
def _built(tiny: Tiny, seed: int) -> nn.Module:
    """Made once: a copy takes less time."""
    torch.manual_seed(seed)
    module = tiny.build()
    module.train()
    with torch.no_grad():
        module(**tiny.batch())  # moves running statistics away from their start, as pretraining does
    return module.eval()


def _tokens() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, VOCABULARY, (8, 10), generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _language() -> dict[str, Tensor]:
    batch = _tokens()
    return {**batch, "labels": torch.full_like(batch["input_ids"], 5)}  # easily learnt, whatever is trained


def _labels() -> Tensor:
    return torch.tensor([0, 1, 0, 0, 0, 2, 0, 0])  # easily learnt, by whatever is trained


def _shape(kind: Any, **values: Any) -> Any:
    """A configuration; the classes do not declare all that they take."""
    return kind(**values)


def _classes() -> dict[str, Tensor]:
    return {**_tokens(), "labels": _labels()}


def _images() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "pixel_values": torch.randn(8, 3, 16, 16, generator=generator),
        "labels": _labels(),
    }


def _llama() -> nn.Module:
    return LlamaForCausalLM(
        _shape(
            LlamaConfig,
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=False,
        )
    )


def _gpt2() -> nn.Module:
    """Transposed linear layers, and input and output embeddings that are one."""
    return GPT2LMHeadModel(
        _shape(GPT2Config, vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=2, n_head=4, n_positions=64, **NO_DROPOUT)
    )


def _bert() -> nn.Module:
    return BertForSequenceClassification(
        _shape(
            BertConfig,
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=2 * WIDTH,
            max_position_embeddings=64,
            num_labels=LABELS,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )


def _t5() -> nn.Module:
    return T5ForConditionalGeneration(
        _shape(
            T5Config,
            vocab_size=VOCABULARY,
            d_model=WIDTH,
            d_kv=WIDTH // 4,
            d_ff=2 * WIDTH,
            num_layers=2,
            num_heads=4,
            decoder_start_token_id=0,
            dropout_rate=0.0,
        )
    )


def _vit() -> nn.Module:
    return ViTForImageClassification(
        _shape(
            ViTConfig,
            image_size=16,
            patch_size=4,
            hidden_size=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=2 * WIDTH,
            num_labels=LABELS,
        )
    )


def _resnet() -> nn.Module:
    return ResNetForImageClassification(
        _shape(
            ResNetConfig, embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic", num_labels=LABELS
        )
    )


MODELS: dict[str, Tiny] = {
    tiny.name: tiny
    for tiny in (
        Tiny("causal_lm", _llama, _language),
        Tiny("tied_lm", _gpt2, _language),
        Tiny("encoder", _bert, _classes, fresh=("classifier",)),
        Tiny("encoder_decoder", _t5, _language),
        Tiny("vision_transformer", _vit, _images, fresh=("classifier",)),
        Tiny("convolutional", _resnet, _images, fresh=("classifier",)),
    )
}
"""By name. ``tied_lm`` also has transposed linear layers, and ``convolutional`` batch normalisation."""
