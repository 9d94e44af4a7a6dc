"""How long a text may be: the longest that is allowed runs, and one token more does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import SIZES, classifier, scores, write_model, write_tokenizer

from adapt_core import AdaptError

ROWS = 40
LONG = "rain " * 200

BART = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
BART |= {"encoder_attention_heads": 4, "decoder_attention_heads": 4}

# By type: its settings, and how many of 40 positions tokens get. RoBERTa's kind counts from behind the padding token
# (`padding_idx + 1 + …` in its own code).
KINDS: list[tuple[str, dict[str, Any], int, int]] = [
    *((kind, SIZES, 1, ROWS - 2) for kind in ("roberta", "xlm-roberta", "camembert", "mpnet", "data2vec-text", "xmod")),
    *((kind, SIZES, 3, ROWS - 4) for kind in ("roberta", "xlm-roberta", "roberta-prelayernorm")),
    ("roberta", SIZES, 0, ROWS - 1),
    ("longformer", {**SIZES, "attention_window": 4, "bos_token_id": 0}, 1, ROWS - 2),
    ("bert", SIZES, 1, ROWS),
    ("electra", {**SIZES, "embedding_size": 32}, 1, ROWS),
    ("distilbert", {"dim": 32, "n_layers": 1, "n_heads": 4, "hidden_dim": 64}, 1, ROWS),
    ("albert", {**SIZES, "embedding_size": 32}, 1, ROWS),
    ("bart", BART, 1, ROWS),
    ("opt", {**SIZES, "ffn_dim": 64, "word_embed_proj_dim": 32}, 1, ROWS),
    ("gpt2", {"n_embd": 32, "n_layer": 1, "n_head": 4}, 1, ROWS),
]


def write(folder: Path, kind: str, settings: dict[str, Any], padding: int, vocabulary: int = 60) -> None:
    sizes = {"n_positions": ROWS} if kind == "gpt2" else {"max_position_embeddings": ROWS}
    further = {"languages": ["en_XX"], "default_language": "en_XX"} if kind == "xmod" else {}
    tokens = {"pad_token_id": padding, "eos_token_id": 2, "vocab_size": vocabulary}
    write_model(folder, kind, **{**settings, **sizes, **tokens, **further})
    special = ["<s>", "</s>", "<unk>"]
    special.insert(padding, "<pad>")
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    write_tokenizer(folder, special, "<s> $A </s>", **names)


@pytest.mark.parametrize(("kind", "settings", "padding", "usable"), KINDS)
def test_the_longest_text_runs_and_no_longer_one_is_allowed(
    kind: str, settings: dict[str, Any], padding: int, usable: int, tmp_path: Path
) -> None:
    write(tmp_path, kind, settings, padding)
    task, model = classifier(tmp_path)  # whose tokenizer sets no limit
    assert model.processor.model_max_length == usable
    assert len(model.processor(LONG, truncation=True)["input_ids"]) == usable
    assert np.isfinite(scores(task, model, LONG, "rain")).all()

    asked, model = classifier(tmp_path, max_length=usable)
    assert scores(asked, model, LONG).shape == (1, 3)
    with pytest.raises(AdaptError, match=f"max_length: {usable + 1} tokens, but .* has {usable} positions") as refused:
        classifier(tmp_path, max_length=usable + 1)
    assert refused.value.hint == f"Give {usable} or less."


@pytest.mark.parametrize(("kind", "usable"), [("roberta", ROWS - 2), ("bert", ROWS)])
def test_as_many_words_as_positions_are_not_confused(kind: str, usable: int, tmp_path: Path) -> None:
    """The embedding of words has a padding token too, and here as many rows."""
    write(tmp_path, kind, SIZES, 1, vocabulary=ROWS)
    assert classifier(tmp_path)[1].processor.model_max_length == usable


def test_models_without_a_table_of_positions_set_their_own_limit(tmp_path: Path) -> None:
    settings = {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_layers": 1, "num_heads": 4, "vocab_size": 60}
    write_model(tmp_path, "t5", pad_token_id=0, eos_token_id=2, decoder_start_token_id=0, **settings)
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "</s>"}
    write_tokenizer(tmp_path, ("<pad>", "<unk>", "</s>"), "$A </s>", **names)
    assert classifier(tmp_path)[1].processor.model_max_length == 512
    assert classifier(tmp_path, max_length=700)[1].processor.model_max_length == 700
