"""Summarization and translation with causal models: the target is learnt behind an instruction and the text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_language_model import write_llama
from tiny_seq2seq import DOCUMENTS, PHRASES, configuration, write_rows, write_split
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.plan.build import build_plan
from adapt_nlp.instructions import ALPACA_WITH_INPUT

LENGTHS = {"max_input_length": 300}


def plain_llama(folder: Path) -> Path:
    """Without a chat template."""
    write_llama(folder, max_position_embeddings=400)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, no_reload: None) -> Path:
    """A run that has learnt the phrases in Alpaca's words, with LoRA."""
    folder = tmp_path_factory.mktemp("finished")
    data = write_split(folder / "data", PHRASES)
    task = {**LENGTHS, "eval_metric": "sacrebleu"}
    method = {"name": "lora", "r": 16, "dropout": 0.0}
    training = {"lr": 1e-2, "epochs": 12}
    made = configuration("translation", plain_llama(folder / "base"), data, folder / "run", task=task)
    adapt_core.run({**made, "method": method, "training": {**made["training"], **training}})
    return folder / "run"


def framed(text: str) -> str:
    """A phrase as the model reads it."""
    return "<s>" + ALPACA_WITH_INPUT.format(instruction="Translate the text from en into sv.", input=text)


def test_a_causal_model_learns_evaluates_and_translates(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    assert result["metrics"]["chrf"] > 95
    again = adapt_core.evaluate_run(finished)["metrics"]
    assert again == pytest.approx({name: result["metrics"][name] for name in again}, abs=1e-4)
    run = adapt_core.load_run(finished)
    wanted = {row["translation"]["en"]: row["translation"]["sv"] for row in PHRASES}
    # Of different lengths in one batch: what pads stands before them.
    assert {row["text"]: row["translation"] for row in run.predict(list(wanted))} == wanted
    assert run.predict(["the cat"], max_new_tokens=1)[0]["translation"] != "katten"
    assert "Generated texts" in (finished / "report.html").read_text()


def test_the_cards_code_writes_what_adapt_predict_does(finished: Path, run_card: Callable[[Path, str], str]) -> None:
    text = "the old cat sleeps " * 30  # which both cut within what stands around it
    (found,) = adapt_core.load_run(finished).predict([text])
    assert run_card(finished / "model", text) == found["translation"]


def test_the_loss_is_a_mean_over_the_targets_tokens_alone(finished: Path) -> None:
    """Against a plain cross-entropy of the merged model, row by row and without padding."""
    merged = finished.parent / "merged"
    adapt_core.merge_run(finished, merged)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(merged).eval(), AutoTokenizer.from_pretrained(merged)
    total, tokens = 0.0, 0
    for row in PHRASES:
        before, target = framed(row["translation"]["en"]), row["translation"]["sv"] + "</s>"
        given, learnt = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (before, target))
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([given + learnt])).logits[0, len(given) - 1 : -1]
        total += float(cross_entropy(logits, torch.tensor(learnt), reduction="sum"))
        tokens += len(learnt)
    assert adapt_core.evaluate_run(finished)["metrics"]["loss"] == pytest.approx(total / tokens, rel=1e-3)


def task_of(model: Path, data: Path, **changes: Any) -> Any:
    """The task of a configuration, which nothing is run of."""
    return build_plan(configuration("summarization", model, data, Path("unused"), **changes)).make_task()


def test_rows_are_the_text_within_its_frame_and_the_target_which_alone_is_learnt(tmp_path: Path) -> None:
    data = write_split(tmp_path / "data", DOCUMENTS, times=1)
    task = task_of(plain_llama(tmp_path / "base"), data, task={**LENGTHS, "prefix": "Name the colour: "})
    loaded = task.load_data()
    tokenizer = task.load_processor(loaded.info)
    tokenizer.pad_token = tokenizer.eos_token
    rows, lengths = task.writer.rows(loaded.train.encoded)
    batch = task.writer.collator(tokenizer)([rows[0], rows[2]])
    words = "<s>" + ALPACA_WITH_INPUT.format(instruction="Name the colour:", input=DOCUMENTS[0]["document"])
    assert tokenizer.decode(rows[0]["input_ids"]) == f"{words}blue sky</s>"
    learnt = [label for label in batch["labels"][0].tolist() if label != -100]
    assert tokenizer.decode(learnt) == "blue sky</s>"
    assert lengths[0] == len(rows[0]["input_ids"])
    # The end token is learnt once, though it pads too; padding stands behind.
    assert (batch["labels"] == tokenizer.eos_token_id).sum() == 2
    assert batch["attention_mask"][:, 0].tolist() == [1, 1]


def test_a_long_text_is_cut_within_its_frame(tmp_path: Path) -> None:
    rows = [{**DOCUMENTS[0], "document": DOCUMENTS[0]["document"] * 9}, DOCUMENTS[1]]
    data = write_split(tmp_path / "data", rows, times=1)
    task = task_of(plain_llama(tmp_path / "base"), data, task=LENGTHS)
    loaded = task.load_data()
    ids = loaded.train.encoded.input_ids[0]
    tokenizer = task.load_processor(loaded.info)
    assert len(ids) == LENGTHS["max_input_length"]
    assert tokenizer.decode(ids).endswith("\n\n### Response:\n")
    assert any("1 of 2 texts are longer than 300 tokens and are cut" in text for text in loaded.info["notices"])
    (shown, *_) = task.inspect(loaded, tokenizer, 1)[0].examples[0].rows
    assert [mark for _, _, mark in shown[1]] == ["cut off"]


def test_a_tokenizer_with_a_chat_template_is_told_as_a_user_tells_it(tmp_path: Path) -> None:
    data = write_split(tmp_path / "data", DOCUMENTS, times=1)
    info = task_of(write_llama(tmp_path / "base"), data).load_data().info
    assert (info["before"], info["behind"]) == ("<|user|>Summarize the text.\n\n", "<|assistant|>")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"task": {"max_input_length": 390}}, r"390 and 24 tokens, but the model .* has 400 positions"),
        ({"task": {"max_input_length": 20}}, r"20 tokens have no room beside the \d+ of the instruction"),
    ],
)
def test_lengths_that_cannot_be_are_refused(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", DOCUMENTS)
    with pytest.raises(AdaptError, match=says):
        task_of(plain_llama(tmp_path / "base"), data, **changes).load_data()


def test_a_chat_template_that_does_not_write_a_text_is_refused(tmp_path: Path) -> None:
    base, data = write_llama(tmp_path / "base"), write_rows(tmp_path / "rows.jsonl", DOCUMENTS)
    for template, says in (("{{ raise_exception('no') }}", "refuses what a user says: no"), ("x", "does not write")):
        (base / "chat_template.jinja").write_text(template)
        with pytest.raises(AdaptError, match=says):
            task_of(base, data).load_data()
