"""What is read off a model: its last blocks, what of it is new, and how PEFT is to call it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from adapt_core import AdaptError, apply_method
from adapt_core.methods.last_layer.method import LastLayer
from adapt_core.methods.last_layer.options import LastLayerOptions
from adapt_core.methods.lora.method import Lora
from adapt_core.methods.lora.options import LoraOptions
from adapt_core.models.architecture import hints_for
from adapt_core.testing import MODELS


def trained(module: nn.Module) -> set[str]:
    return {name for name, each in module.named_parameters() if each.requires_grad}


def test_the_last_blocks_are_those_before_the_head() -> None:
    from transformers import BartConfig, BartForSequenceClassification

    sizes = {"vocab_size": 20, "d_model": 8, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "pad_token_id": 0}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    for layers in (1, 2, 3):
        settings = BartConfig(encoder_layers=2, decoder_layers=layers, eos_token_id=2, **sizes, **heads)  # type: ignore[arg-type]
        module = apply_method(BartForSequenceClassification(settings), "last_layer", blocks=1)
        names = {".".join(name.split(".")[:4]) for name in trained(module) if "layers" in name}
        assert names == {f"model.decoder.layers.{layers - 1}"}
    stages = hints_for(MODELS["convolutional"].build()).blocks
    assert stages[-1].startswith("resnet.encoder.stages.1") and stages == tuple(sorted(stages))


def test_a_parameter_of_the_model_itself_is_not_the_whole_of_it() -> None:
    classifier: Any = MODELS["encoder"].seeded()
    classifier.temperature = nn.Parameter(torch.ones(2))
    hints = hints_for(classifier, ["temperature", "classifier.weight"])
    with pytest.raises(AdaptError, match=r"lora cannot train temperature, which the checkpoint has no value for"):
        Lora(LoraOptions()).apply(classifier, hints)
    module = LastLayer(LastLayerOptions()).apply(classifier, hints)
    assert trained(module) == {"temperature", "classifier.weight", "classifier.bias"}


def test_a_model_that_reads_no_tokens_is_called_as_it_is() -> None:
    """PEFT's classes for a task hand on ``input_ids``."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForSequenceClassification, WhisperConfig
    from transformers import WhisperForConditionalGeneration as Whisper

    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_mel_bins": 4, "max_source_positions": 8}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    whisper = Whisper(WhisperConfig(vocab_size=20, **sizes, **heads, **tokens))  # type: ignore[arg-type]
    adapted = apply_method(whisper, "lora")
    adapted(input_features=torch.randn(1, 4, 16), labels=torch.tensor([[3, 4]])).loss.backward()

    speech = {"conv_dim": [8, 8], "conv_kernel": [3, 3], "conv_stride": [2, 2], "num_conv_pos_embedding_groups": 2}
    widths = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    settings = Wav2Vec2Config(num_conv_pos_embeddings=4, **speech, **widths)  # type: ignore[arg-type]
    adapted = apply_method(Wav2Vec2ForSequenceClassification(settings), "lora")
    adapted(input_values=torch.randn(1, 400), labels=torch.tensor([1])).loss.backward()


def test_parts_inside_the_base_belong_to_the_head_and_lists_are_told_by_their_entries() -> None:
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

    stages = {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "embedding_size": 8, "layer_type": "basic"}
    settings = RTDetrConfig(
        backbone_config=RTDetrResNetConfig(**stages, out_features=["stage2", "stage3", "stage4"]),  # type: ignore[arg-type]
        encoder_hidden_dim=8,
        encoder_in_channels=[8, 8, 8],
        decoder_in_channels=[8, 8, 8],
        d_model=8,
        decoder_layers=2,
        encoder_ffn_dim=8,
        decoder_ffn_dim=8,
    )
    module = RTDetrForObjectDetection(settings)
    hints = hints_for(module, ["model.decoder.class_embed.1.bias"], parts={"class_embed", "enc_score_head"})
    entries = ("model.decoder.class_embed.0", "model.decoder.class_embed.1")
    assert set(hints.head) == {"model.enc_score_head", *entries}
    assert hints.fresh == ("model.decoder.class_embed.1",)
    assert hints_for(module).head == ()
