"""Classifiers of texts and words, and causal summarizers, with the methods of most use: from a run to a merged model.

Text generation, question answering, and models of an encoder and a decoder have files of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoTokenizer

import adapt_core

ROOT = Path(__file__).parent.parent
LORA = {"name": "lora", "r": 8, "dropout": 0.0}
METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": {"name": "full"}},
    "lora": {"method": LORA},
    "ssf": {"method": {"name": "ssf"}},
    "qlora": {"method": LORA, "quantization": {"name": "bnb_4bit", "compute_dtype": "float32"}},
}
TEXT = "rain bread the piano"
DOCUMENT = "We walked along and looked at the sky, which was blue all day."


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A configuration of each task, with models and data made on the spot."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "adapt-nlp" / "tests")
        import tiny_encoder
        import tiny_language_model
        import tiny_seq2seq
    folder = tmp_path_factory.mktemp("tiny")
    encoder = tiny_encoder.write_encoder(folder / "encoder", width=64)
    llama = tiny_language_model.write_llama(folder / "llama")
    lengths = {"max_input_length": 128, "max_target_length": 16, "generation_max_length": 8}
    places = {
        "text_classification": ({}, encoder, tiny_encoder.write_texts(folder / "texts.csv", 60)),
        "token_classification": (
            {"subtask": "pos"},
            encoder,
            tiny_encoder.write_sentences(folder / "sentences.jsonl", 60),
        ),
        "summarization": (lengths, llama, tiny_seq2seq.write_split(folder / "documents", tiny_seq2seq.DOCUMENTS)),
    }
    return SimpleNamespace(
        configurations={
            task: {
                "task": {"name": task, **options},
                "model": {"path": str(model)},
                "dataset": {"path": str(data), **({"tags_column": "ner_tags"} if "subtask" in options else {})},
                "training": {"lr": 5e-3, "max_steps": 6, "batch_size": 8, "num_workers": 0},
                "save": "none",
            }
            for task, (options, model, data) in places.items()
        }
    )


def classes(folder: Path, found: Any) -> None:
    """The merged classifier of texts gives the same scores."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        scores = model(**tokenizer(TEXT, return_tensors="pt")).logits[0].softmax(-1)
    assert {model.config.id2label[row]: float(score) for row, score in enumerate(scores)} == pytest.approx(
        found["scores"], abs=1e-4
    )


def words(folder: Path, found: Any) -> None:
    """The merged classifier of words gives the same tags."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        tags = model(**tokenizer(TEXT, return_tensors="pt")).logits[0, 1:-1].argmax(-1).tolist()
    assert [model.config.id2label[tag] for tag in tags] == found["tags"]


def summary(folder: Path, found: Any) -> None:
    """The merged causal model writes the same behind the prompt."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    prompt = f"<|user|>Summarize the text.\n\n{DOCUMENT}<|assistant|>"
    ids = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"]])
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pad_token_id": tokenizer.pad_token_id}
    with torch.no_grad():
        written = model.generate(**given, max_new_tokens=8, do_sample=False)[0, ids.shape[1] :]
    assert tokenizer.decode(written, skip_special_tokens=True) == found["summary"]


OUTSIDE: dict[str, tuple[str, Callable[[Path, Any], None]]] = {
    "text_classification": (TEXT, classes),
    "token_classification": (TEXT, words),
    "summarization": (DOCUMENT, summary),
}


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize("task", OUTSIDE)
@pytest.mark.parametrize("name", METHODS)
def test_a_run_is_evaluated_used_merged_and_loaded_by_transformers(
    name: str, task: str, tiny: SimpleNamespace, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    result = adapt_core.run({**tiny.configurations[task], **METHODS[name], "output_dir": str(run)})
    again = adapt_core.evaluate_run(run)["metrics"]
    assert again == pytest.approx({key: result["metrics"][key] for key in again}, abs=1e-4)
    text, outside = OUTSIDE[task]
    (found,) = adapt_core.load_run(run).predict([text])
    folder = run / "model"
    if name != "full":
        merged = adapt_core.merge_run(run, tmp_path / "merged")
        assert merged["difference"] <= merged["tolerance"] * max(merged["largest_output"], 1)
        folder = tmp_path / "merged"
    outside(folder, found)
