"""Data that cannot be trained on: refused in words, with the row, before the model's weights are looked for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tiny_language_model import write_llama
from tiny_seq2seq import configuration, write_bart, write_rows, write_split

from adapt_core.cli.app import command_line


@pytest.fixture(scope="module")
def without_weights(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models' folders without their weights: whoever loads them fails."""
    folders = {
        "bart": write_bart(tmp_path_factory.mktemp("bart")),
        "llama": write_llama(tmp_path_factory.mktemp("llama")),
    }
    for folder in folders.values():
        (folder / "model.safetensors").unlink()
    return folders | {"bert": encoder}


PAIR = {"document": "a b", "summary": "a"}
BOTH = {"translation": {"en": "a", "sv": "b"}}
SUMMARIZATION: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    # The rows, changes of the configuration, and what is said; a good row comes first, so that line 2 is the bad one.
    "empty document": ([PAIR, {**PAIR, "document": ""}], {}, r"column 'document' is empty at line 2"),
    "no document": ([PAIR, {"summary": "a"}], {}, r"column 'document' is empty at line 2"),
    "blank document": ([PAIR, {**PAIR, "document": " \n"}], {}, r"column 'document' is empty at line 2"),
    "empty summary": ([PAIR, {**PAIR, "summary": ""}], {}, r"column 'summary' is empty at line 2"),
    "no summary": ([PAIR, {"document": "a"}], {}, r"column 'summary' is empty at line 2"),
    "a number for a summary": ([PAIR, {**PAIR, "summary": 7}], {}, r"not text at line 2, the first of them 7"),
    "a list of documents": ([{**PAIR, "document": ["a", "b"]}], {}, r"not text at line 1"),
    "half a surrogate": ([PAIR, {**PAIR, "summary": "\ud83d"}], {}, r"not valid Unicode at line 2"),
    "no known columns": ([{"a": "x", "b": "y"}], {}, r"no column holds the summary.*The columns there are: a, b"),
    "no column of a document": ([{"summary": "x"}], {}, r"no column holds the document"),
    "two columns of a document": (
        [{"article": "x", "dialogue": "y", "summary": "z"}],
        {},
        r"2 columns could hold the document: article, dialogue.*dataset.text_column",
    ),
    "no such column": ([PAIR], {"dataset": {"summary_column": "sumary"}}, r"no column 'sumary'.*you mean 'summary'"),
    "no such column for a format": (
        [PAIR],
        {"dataset": {"format_string": "{p}", "format_names": ["p"]}},
        r"no column 'p', which dataset.format_names",
    ),
    "one column for both": (
        [PAIR],
        {"dataset": {"text_column": "document", "summary_column": "document"}},
        r"text_column and summary_column must differ",
    ),
    "no rows": ([], {}, r"(has no rows|is empty)"),
    "a single row to hold out": ([PAIR], {}, r"nothing can be held out of a single row"),
    "no such split": ([PAIR], {"dataset": {"validation_split": "dev"}}, r"no split 'dev'.*splits there are: train"),
    "no room for a target": (
        [PAIR] * 9,
        {"task": {"max_target_length": 2}},
        r"max_target_length.*2 tokens have no room beside the 2 of what the tokenizer adds",
    ),
    "no room beside a prefix": (
        [PAIR] * 9,
        {"task": {"prefix": "summarize all of this: ", "max_input_length": 8}},
        r"max_input_length.*8 tokens have no room beside the \d+ of the prefix 'summarize all of this: '",
    ),
    "inputs that are too long for the model": (
        [PAIR] * 9,
        {"task": {"max_input_length": 500}},
        r"max_input_length.*500 tokens, but the model .* has 128 positions",
    ),
    "texts that are too long for the model": (
        [PAIR] * 9,
        {"task": {"generation_max_length": 500}},
        r"generation_max_length.*500 tokens, but the model .* has 128 positions",
    ),
    "a metric that there is not": ([PAIR], {"task": {"eval_metric": "meteor"}}, r"eval_metric.*rouge"),
    "an encoder alone": ([PAIR], {"model": "bert"}, r"of the type bert, which does not write a text"),
}  # fmt: skip
TRANSLATION: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "a language is missing": ([BOTH, {"translation": {"en": "a"}}], {}, r"has no 'sv' at line 2 \(1 of 2 rows"),
    "a language is null": ([BOTH, {"translation": {"en": None, "sv": "b"}}], {}, r"has no 'en' at line 2"),
    "an empty translation": ([BOTH, {"translation": {"en": "a", "sv": ""}}], {}, r"column 'sv' is empty at line 2"),
    "other languages": (
        [BOTH],
        {"task": {"target_lang": "ro"}},
        r"has texts of en, sv, and none of 'ro', which task.target_lang",
    ),
    "no texts by language": ([BOTH, {"translation": "b"}], {}, r"no texts by language at line 2.*first of them 'b'"),
    "no translation at all": ([BOTH, {"translation": None}], {}, r"holds no texts by language at line 2"),
    "no such key": ([BOTH], {"dataset": {"target_column": "se"}}, r"no column 'se', which dataset.target_column names"),
    "no column of a translation": ([{"en": "a"}], {}, r"no column holds the translation"),
    "one language": ([BOTH], {"task": {"target_lang": "en"}}, r"source_lang and target_lang must differ"),
    "one column for both": (
        [{"text": "a", "translation": "b"}],
        {"dataset": {"target_column": "text"}},
        r"'text' would be both the text and its translation",
    ),
    "a format and a column": (
        [BOTH],
        {"dataset": {"format_string": "{en}", "format_names": ["en"], "source_column": "en"}},
        r"FORMAT_STRING\) makes the text; remove it, or source_column",
    ),
    "an encoder alone": ([BOTH], {"model": "bert"}, r"of the type bert, which does not write a text"),
    "a causal model without room": (
        [BOTH] * 9,
        {"model": "llama", "task": {"max_input_length": 500}},
        r"500 and 24 tokens, but the model .* has 512 positions",
    ),
    "a causal model without room beside its instruction": (
        [BOTH] * 9,
        {"model": "llama", "task": {"max_input_length": 9}},
        r"9 tokens have no room beside the \d+ of the instruction",
    ),
}  # fmt: skip
CASES = [("summarization", case) for case in SUMMARIZATION] + [("translation", case) for case in TRANSLATION]


def refused(config: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a run says that must fail: its words in one line, without a traceback."""
    file = folder / "run.json"
    file.write_text(json.dumps(config))
    code = command_line(["run", str(file)])
    said = " ".join(capsys.readouterr().err.split())
    assert code in (1, 2), said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(("task", "case"), CASES)
def test_data_that_cannot_be_trained_on_is_refused_in_words(
    task: str, case: str, without_weights: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, changes, says = (SUMMARIZATION if task == "summarization" else TRANSLATION)[case]
    data = write_rows(tmp_path / "rows.jsonl", made)
    changes = dict(changes)
    model = without_weights[changes.pop("model", "bart")]
    said = refused(configuration(task, model, data, tmp_path / "run", **changes), tmp_path, capsys)
    assert re.search(says, said), said
    assert not (tmp_path / "run" / "model").exists()


def test_a_validation_split_is_held_to_the_same(
    without_weights: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_split(tmp_path / "data", [PAIR])
    write_rows(data / "validation.jsonl", [PAIR, {**PAIR, "summary": ""}])
    config = configuration("summarization", without_weights["bart"], data, tmp_path / "run")
    said = refused(config, tmp_path, capsys)
    assert "validation.jsonl: column 'summary' is empty at line 2" in said
    write_rows(data / "validation.jsonl", [{"document": "a", "abstract": "b"}])
    assert "validation.jsonl has no column 'summary'" in refused(config, tmp_path, capsys)


def test_good_data_come_as_far_as_the_weights(
    without_weights: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which shows that the cases above are refused before."""
    data = write_rows(tmp_path / "rows.jsonl", [PAIR] * 9)
    said = refused(configuration("summarization", without_weights["bart"], data, tmp_path / "run"), tmp_path, capsys)
    assert "The model of" in said
    assert "cannot be loaded" in said
