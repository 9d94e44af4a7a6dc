"""A text's scores are the same alone and in a batch, whatever the checkpoint says of padding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_checkpoints import SIZES, WORDS, classifier, scores, write_model, write_tokenizer

from adapt_core import AdaptError

SHORT, LONG = "rain bread", " ".join(WORDS)

ONE = {"bos_token_id": 1, "eos_token_id": 2, "vocab_size": 320}
BART = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
BART |= {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 40}

DECODERS: dict[str, dict[str, Any]] = {
    "llama": {**ONE, **SIZES, "num_key_value_heads": 2},
    "qwen2": {**ONE, **SIZES, "num_key_value_heads": 2},
    "gemma": {**ONE, **SIZES, "num_key_value_heads": 2, "head_dim": 8},
    "gpt_neox": {**ONE, **SIZES},
    "gpt2": {**ONE, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 40},
    "bloom": {**ONE, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "opt": {**ONE, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64}
    | {"word_embed_proj_dim": 32, "max_position_embeddings": 40},
}


def edit(folder: Path, name: str = "config.json", **values: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def differences(folder: Path) -> tuple[float, float]:
    """How far the scores of a text are from those in a batch with a longer one, and from those of that one."""
    task, model = classifier(folder)
    alone, other, together = scores(task, model, SHORT), scores(task, model, LONG), scores(task, model, SHORT, LONG)
    assert np.allclose(together[1], other[0], atol=1e-5)
    return float(abs(together[0] - alone[0]).max()), float(abs(together[0] - other[0]).max())


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("padding", [None, 0, -1, 1, 2, 11])
@pytest.mark.parametrize("kind", DECODERS)
def test_a_decoder_without_a_padding_token_scores_texts_alike(
    kind: str, padding: int | None, side: str, tmp_path: Path
) -> None:
    """The token of the configuration is none, one that is not there, a special one, or a word."""
    write_model(tmp_path, kind, **DECODERS[kind])
    edit(tmp_path, pad_token_id=padding)
    names = {"bos_token": "<s>", "eos_token": "</s>", "padding_side": side}
    write_tokenizer(tmp_path, template="<s> $A", byte_level=True, **names)
    alone, apart = differences(tmp_path)
    assert alone < 1e-5 < 1e-3 < apart


@pytest.mark.parametrize("padding", [None, 0, 2, 999])
def test_the_tokenizers_own_padding_token_is_taken_where_it_is_another(padding: int | None, tmp_path: Path) -> None:
    write_model(tmp_path, "llama", **DECODERS["llama"])
    edit(tmp_path, pad_token_id=padding)
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    write_tokenizer(tmp_path, ("<unk>", "<s>", "</s>", "<pad>"), "<s> $A", **names)
    _, model = classifier(tmp_path)
    assert model.processor.pad_token_id == model.module.config.pad_token_id == 3
    assert differences(tmp_path)[0] < 1e-5


def test_a_decoder_is_judged_by_the_last_token_of_a_text(tmp_path: Path) -> None:
    """By the hidden state at it, from the base model itself and without padding, even if the text ends oddly."""
    write_model(tmp_path, "llama", **DECODERS["llama"])
    edit(tmp_path, pad_token_id=0)  # which is the token of unknown words
    write_tokenizer(tmp_path, template="<s> $A </s>", bos_token="<s>", eos_token="</s>")
    task, model = classifier(tmp_path)
    for text in (SHORT, "rain dragon", "dragon"):
        ids = torch.tensor([model.processor(text)["input_ids"]])
        with torch.no_grad():
            last = model.module.model(ids).last_hidden_state[0, -1]
            expected = model.module.score(last)
        found = scores(task, model, text, LONG)[0]
        assert np.allclose(found, expected, atol=1e-5), text


@pytest.mark.parametrize("kind", ["roberta", "camembert", "xlm-roberta", "mpnet", "longformer", "data2vec-text"])
def test_what_counts_positions_from_its_padding_token_keeps_it(kind: str, tmp_path: Path) -> None:
    """With another, every token would get the embedding of another position than in pretraining."""
    special = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    settings = {**SIZES, "vocab_size": 60, "max_position_embeddings": 40, "pad_token_id": 1}
    settings |= {"attention_window": 4, "bos_token_id": 0} if kind == "longformer" else {}
    plain = write_model(tmp_path, kind, **settings)
    names = {"cls_token": "<s>", "sep_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}
    write_tokenizer(tmp_path, special, "<s> $A </s>", **names)  # it does not say what pads
    _, model = classifier(tmp_path)
    assert model.processor.pad_token == "<pad>"
    ids = torch.tensor([model.processor(SHORT)["input_ids"]])
    with torch.no_grad():
        expected = plain.eval()(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        found = model.module.eval().base_model(ids, attention_mask=torch.ones_like(ids))[0]
    assert torch.allclose(found, expected, atol=1e-5)
    assert differences(tmp_path)[0] < 1e-5


def test_an_encoder_decoder_pads_with_what_ends_no_text(tmp_path: Path) -> None:
    """BART's classifier reads the last end token, of which every row must hold as many."""
    write_model(tmp_path, "bart", vocab_size=60, pad_token_id=1, bos_token_id=0, eos_token_id=2, **BART)
    special = ("<s>", "<pad>", "</s>", "<unk>")
    write_tokenizer(tmp_path, special, "<s> $A </s>", bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    edit(tmp_path, "tokenizer_config.json", additional_special_tokens=["<pad>"])
    assert differences(tmp_path)[0] < 1e-5


@pytest.mark.parametrize("side", ["left", "right"])
def test_xlnet_which_reads_the_last_place_is_padded_in_front(side: str, tmp_path: Path) -> None:
    settings = {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64, "vocab_size": 60, "pad_token_id": 5}
    write_model(tmp_path, "xlnet", **settings)
    special = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>")
    names = {"cls_token": "<cls>", "sep_token": "<sep>", "pad_token": "<pad>"}
    write_tokenizer(tmp_path, special, "$A <sep> <cls>", padding_side=side, **names)
    assert differences(tmp_path)[0] < 1e-5


def test_a_tokenizer_without_any_special_token_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path, "llama", **DECODERS["llama"])
    tokenizer = write_tokenizer(tmp_path)
    tokenizer.unk_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(AdaptError, match="neither a padding nor an end token, so batches cannot be made"):
        classifier(tmp_path)
