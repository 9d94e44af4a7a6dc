"""Every example of the language tasks: right as it stands, and run for two steps on a tiny model and a few rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import adapt_core
from adapt_core.plan.build import check

ROOT = Path(__file__).parent.parent
TASKS = ("text_classification", "token_classification", "question_answering", "text_generation", "summarization",
         "translation")  # fmt: skip
CONTEXT = "In the morning there was rain, and in the evening there was snow."
TAGGED = {"tokens": ["rain", "and", "snow"], "ner_tags": ["B-W", "O", "B-W"], "pos_tags": ["N", "C", "N"]}
EXAMPLES: dict[str, tuple[str, Sequence[Mapping[str, Any]] | str]] = {
    # The tiny model, and rows; or what the tiny models' modules have of a kind.
    "text_classification/reviews": ("encoder", [{"text": "rain", "label": 0}, {"text": "snow", "label": 1}]),
    "text_classification/pairs": (
        "encoder",
        [{"sentence1": "rain", "sentence2": "sun", "label": 0}, {"sentence1": "sun", "sentence2": "sun", "label": 1}],
    ),
    "token_classification/ner": ("encoder", [TAGGED]),
    "token_classification/pos": ("encoder", [TAGGED]),
    "token_classification/chunk": ("encoder", [{"tokens": ["the", "rain"], "chunk_tags": ["B-NP", "I-NP"]}]),
    "question_answering/squad": (
        "encoder",
        [{"question": "What was there?", "context": CONTEXT,
          "answers": {"text": ["rain"], "answer_start": [CONTEXT.index("rain")]}}],
    ),
    "question_answering/squad_v2": (
        "encoder",
        [{"question": "What was there?", "context": CONTEXT,
          "answers": {"text": ["snow"], "answer_start": [CONTEXT.index("snow")]}},
         {"question": "Who?", "context": CONTEXT, "answers": {"text": [], "answer_start": []}}],
    ),
    "text_generation/plain": ("llama", "text"),
    "text_generation/instruction": ("llama", "instruction"),
    "text_generation/chat": ("llama", "chat"),
    "summarization/t5": ("t5", [{"article": "The sky was blue.", "highlights": "blue"}]),
    "summarization/bart": ("bart", "DOCUMENTS"),
    "summarization/causal": ("llama", "DOCUMENTS"),
    "translation/t5": ("t5", [{"translation": {"en": "the cat", "ro": "pisica"}}]),
    "translation/marian": ("bart", "PHRASES"),
    "translation/nllb": ("bart", "PHRASES"),
}  # fmt: skip

TOLD = {
    # What an evaluation measures, and what a prediction gives.
    "text_classification": ("accuracy", "label"),
    "token_classification/ner": ("f1", "entities"),
    "token_classification/pos": ("accuracy", "tags"),
    "token_classification/chunk": ("f1", "entities"),
    "question_answering": ("f1", "answer"),
    "text_generation": ("perplexity", "generated"),
    "summarization": ("rougeL", "summary"),
    "translation": ("bleu", "translation"),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The modules of tiny models, and one model of each kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "adapt-nlp" / "tests")
        import tiny_language_model
        import tiny_seq2seq
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path_factory.mktemp("models")
    models = {
        "llama": tiny_language_model.write_llama(folder / "llama", max_position_embeddings=1024),
        "t5": tiny_seq2seq.write_t5(folder / "t5"),
        "bart": tiny_seq2seq.write_bart(folder / "bart", max_position_embeddings=600),
        "encoder": folder / "encoder",
    }
    tokenizer = AutoTokenizer.from_pretrained(models["t5"])
    tokenizer.save_pretrained(models["encoder"])
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokenizer), pad_token_id=0, **sizes)).save_pretrained(models["encoder"])
    return SimpleNamespace(models=models, language_model=tiny_language_model, seq2seq=tiny_seq2seq)


def test_every_example_is_here_and_every_task_has_one() -> None:
    files = [each for task in TASKS for each in (ROOT / "examples" / task).glob("*.yaml")]
    assert {f"{each.parent.name}/{each.stem}" for each in files} == set(EXAMPLES)
    assert len(EXAMPLES) == 16
    assert {name.split("/")[0] for name in EXAMPLES} == set(TASKS)


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_right_and_runs(name: str, tiny: SimpleNamespace, tmp_path: Path) -> None:
    file = ROOT / "examples" / f"{name}.yaml"
    made: dict[str, Any] = yaml.safe_load(file.read_text())
    # Local data are the reader's own.
    assert [each.key for each in check(file)] == (["dataset.path"] if "path" in made["dataset"] else [])
    kind, rows = EXAMPLES[name]
    if isinstance(rows, str):
        rows = getattr(tiny.seq2seq, rows, None) or tiny.language_model.rows(rows)
    data = tiny.seq2seq.write_split(tmp_path / "data", rows)
    if made["dataset"].get("validation_split"):
        (data / "validation.jsonl").rename(data / f"{made['dataset']['validation_split']}.jsonl")
    kept = {key: value for key, value in made["dataset"].items() if key not in ("name", "config")}
    made["dataset"] = {**kept, "path": str(data)}
    made["model"] = {"path": str(tiny.models[kind])}
    made["training"] |= {"max_steps": 2, "num_workers": 0}
    if "generation_max_length" in made["task"] or name.startswith(("summ", "trans")):
        made["task"]["generation_max_length"] = 4
    if "quantization" in made:
        made["quantization"]["compute_dtype"] = "float32"
    result = adapt_core.run({**made, "save": "none", "output_dir": str(tmp_path / "run")})
    assert result["steps"] == 2
    metric, answer = TOLD.get(name) or TOLD[name.split("/")[0]]
    assert result["metrics"]["loss"] > 0
    assert result["metrics"][metric] >= 0
    row = rows[0]
    read = {name: row[name] for name in ("sentence1", "sentence2", "question", "context") if name in row}
    (found,) = adapt_core.load_run(tmp_path / "run").predict([json.dumps(read) if read else "the cat"])
    assert answer in found
