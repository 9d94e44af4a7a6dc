"""A tokenizer must be there, and must fit the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoints import SIZES, WORDS, classifier, scores, write_model, write_tokenizer

from adapt_core import AdaptError

LLAMA = {**SIZES, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2}
NAMES = {"bos_token": "<s>", "eos_token": "</s>"}
KNOWN = 3 + len(WORDS)
"""What the tokenizers here know: three special tokens and words."""


@pytest.mark.parametrize(
    "kind",
    [
        "albert", "bart", "bert", "bloom", "camembert", "clip", "cohere", "deberta", "deberta-v2", "distilbert",
        "electra", "esm", "fnet", "funnel", "gemma", "gemma2", "gemma3_text", "gpt2", "gpt_neo", "gpt_neox", "gptj",
        "layoutlm", "llama", "longformer", "mbart", "mistral", "modernbert", "mpnet", "mt5", "opt", "pegasus", "phi3",
        "qwen2", "qwen3", "rembert", "roberta", "squeezebert", "t5", "xlm-roberta", "xlnet",
    ],
)  # fmt: skip
@pytest.mark.parametrize("settings", [None, {"model_max_length": 64}])
def test_a_folder_without_a_tokenizers_files_is_refused(kind: str, settings: Any, tmp_path: Path) -> None:
    """Whether the class of the model's type makes an empty one or fails in a way of its own."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    if settings is not None:  # what is left where only the vocabulary was forgotten
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(AdaptError) as refused:
        classifier(tmp_path)
    assert "tokenizer" in refused.value.message
    assert str(tmp_path) in refused.value.message
    assert "tokenizer's files" in refused.value.hint


def test_a_damaged_tokenizer_is_no_bug_of_adapt(tmp_path: Path) -> None:
    write_model(tmp_path, "llama", **LLAMA, vocab_size=60)
    write_tokenizer(tmp_path, **NAMES)
    file = tmp_path / "tokenizer.json"
    file.write_text(file.read_text()[:200])
    with pytest.raises(AdaptError, match=r"The tokenizer of .* cannot be loaded"):
        classifier(tmp_path)


@pytest.mark.parametrize("kind", ["canine", "perceiver"])
def test_a_tokenizer_of_bytes_or_characters_needs_no_files(kind: str, tmp_path: Path) -> None:
    from adapt_core.config import ModelOptions
    from adapt_nlp.tokenizer import load_tokenizer

    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    assert len(load_tokenizer(ModelOptions(path=str(tmp_path)))("film")["input_ids"]) >= 4


def extended(folder: Path, *tokens: str, **names: Any) -> None:
    """A model with an embedding for every token, and a tokenizer that has got more since."""
    write_model(folder, "llama", vocab_size=KNOWN, **LLAMA)
    tokenizer = write_tokenizer(folder, **NAMES)
    tokenizer.add_tokens(list(tokens))
    if names:
        tokenizer.add_special_tokens(names)
    tokenizer.save_pretrained(folder)


def test_tokens_without_an_embedding_are_told(tmp_path: Path) -> None:
    extended(tmp_path, "film", "actor")
    task, model = classifier(tmp_path)
    (notice,) = model.notices
    assert f"more tokens than the model's embedding has rows ({KNOWN}): 'film', 'actor'." in notice
    assert scores(task, model, "rain").shape == (1, 3)
    with pytest.raises(AdaptError, match=r"The text 'rain actor' holds the token 'actor'.*no embedding") as refused:
        scores(task, model, "rain", "rain actor")
    assert "resize_token_embeddings" in refused.value.hint


@pytest.mark.parametrize("place", ["training", "evaluation"])
def test_data_that_holds_one_is_refused_before_training(place: str, quick: Any, tmp_path: Path) -> None:
    extended(tmp_path / "base", "film")
    texts = {"training": ["rain"] * 20, "evaluation": ["sun"] * 4}
    texts[place][3] += " film"
    for name, rows in texts.items():
        file = {"training": "train.csv", "evaluation": "validation.csv"}[name]
        (tmp_path / "data").mkdir(exist_ok=True)
        lines = [f"{text},{index % 2}\n" for index, text in enumerate(rows)]
        (tmp_path / "data" / file).write_text("text,label\n" + "".join(lines))
    with pytest.raises(AdaptError, match="holds the token 'film', for which the model has no embedding"):
        quick(model={"path": str(tmp_path / "base")}, dataset={"path": str(tmp_path / "data")})
    assert not (tmp_path / "quick" / "metrics.jsonl").exists()


def test_a_padding_token_without_an_embedding_gives_way(tmp_path: Path) -> None:
    extended(tmp_path, pad_token="<pad>")
    task, model = classifier(tmp_path)
    assert "pads with '<pad>', for which the model has no embedding: '</s>' pads in its place." in model.notices[0]
    assert model.module.config.pad_token_id == model.processor.pad_token_id == 2
    together = scores(task, model, "rain", "rain sun wind")
    assert together[0] == pytest.approx(scores(task, model, "rain")[0], abs=1e-6)


def test_a_token_of_every_text_without_an_embedding_is_refused(tmp_path: Path) -> None:
    """As of another model's tokenizer: nothing could be read."""
    write_model(tmp_path, "bert", vocab_size=20, pad_token_id=0, **SIZES)
    special = ("[PAD]", "[UNK]", *(f"[unused{index}]" for index in range(20)), "[CLS]", "[SEP]")
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    write_tokenizer(tmp_path, special, "[CLS] $A [SEP]", **names)
    with pytest.raises(AdaptError, match=r"puts into every text '\[CLS\]'.*has no embedding: it has 20 rows"):
        classifier(tmp_path)


def test_a_tokenizer_with_fewer_tokens_is_the_usual_case(tmp_path: Path) -> None:
    write_model(tmp_path, "llama", vocab_size=KNOWN + 40, **LLAMA)
    write_tokenizer(tmp_path, **NAMES)
    assert classifier(tmp_path)[1].notices == ()
