"""Malformed data of every family of tasks: refused in words, with the row, and never with a traceback."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import test_generation_refusals as generation
import test_question_data as answering
import test_seq2seq_refusals as seq2seq
import test_tagged_data as tags

from adapt_core.cli.app import command_line

GOOD = [{"text": "rain and sun", "label": "weather"}, {"text": "bread", "label": "food"}] * 5
(ROW, *_) = GOOD

CLASSIFICATION: dict[str, tuple[Any, dict[str, Any], str]] = {
    # What row 11 is, or the whole file; changes of the data's section; and what is said.
    "no text": ({**ROW, "text": None}, {}, r"column 'text' is empty at line 11 \(1 of 11 rows"),
    "a blank text": ({**ROW, "text": " \n"}, {}, r"column 'text' is empty at line 11"),
    "a number for a text": ({**ROW, "text": 7}, {}, r"not text at line 11, the first of them 7"),
    "a list for a text": ({**ROW, "text": ["a"]}, {}, r"not text at line 11, the first of them \['a'\]"),
    "half a surrogate": ({**ROW, "text": "\ud83d"}, {}, r"column 'text' is not valid Unicode at line 11"),
    "no label": ({"text": "a"}, {}, r"label is missing in column 'label' at line 11"),
    "a blank label": ({**ROW, "label": " "}, {}, r"label is missing in column 'label' at line 11"),
    "a list for a label": ({**ROW, "label": ["food"]}, {}, r"neither text nor whole numbers at line 11"),
    "a mapping for a label": ({**ROW, "label": {"a": 1}}, {}, r"neither text nor whole numbers at line 11"),
    "a fraction for a label": ({**ROW, "label": 0.5}, {}, r"neither text nor whole numbers at line 11.*0\.5"),
    "a number among texts": ({**ROW, "label": 3}, {}, r"mixes labels of different types.*not 3 at line 11"),
    "half a surrogate for a label": ({**ROW, "label": "\ud83d"}, {}, r"'label' is not valid Unicode at line 11"),
    "a label without a name": (
        {**ROW, "label": "music"},
        {"label_names": ["food", "weather"]},
        r"not among the 2 training labels: 'music' \(1 row\); at line 11",
    ),
    "no such column": (ROW, {"text_column": "txt"}, r"no column 'txt', which dataset.text_column.*mean 'text'"),
    "no such label column": (ROW, {"label_column": "labls"}, r"no column 'labls'.*Did you mean 'label'"),
    "no such second column": (ROW, {"text_column": "text", "text_pair_column": "b"}, r"no column 'b'"),
    "no such column for a format": (
        ROW,
        {"format_string": "{p}", "format_names": ["p"]},
        r"no column 'p', which dataset.format_names",
    ),
    "a format that does not fit": (
        ROW,
        {"format_string": "{text:d}", "format_names": ["text"]},
        r"line 1: format_string \(FORMAT_STRING\) does not fit",
    ),
    "no such split": (ROW, {"validation_split": "dev"}, r"no split 'dev'.*splits there are: train"),
    "one class": ('{"text": "a", "label": "b"}\n' * 9, {}, r"all 9 training rows have one label, 'b'"),
    "no known columns": ('{"x": "a", "y": "b"}\n' * 9, {}, r"no column holds the text.*columns there are: x, y"),
    "half a line of JSON": ('{"text": "a", "label": "b"}\n{"text": \n', {}, r"line 2: malformed JSON at column"),
    "a line that is no object": ('{"text": "a", "label": "b"}\n[1]\n', {}, r"line 2: a JSON object is needed"),
    "an empty file": ("", {}, r"rows.jsonl is empty"),
}  # fmt: skip


def marked(test: Any) -> list[Any]:
    """The cases of a parametrized test."""
    return [case for mark in test.pytestmark if mark.name == "parametrize" for case in mark.args[1]]


TAGGED = [(row, says) for row, says in marked(tags.test_malformed_rows_are_refused_with_their_lines)]
QUESTIONS = answering.BROKEN


@pytest.fixture(scope="module")
def without_weights(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder without its weights: whoever loads them fails in other words."""
    folder = tmp_path_factory.mktemp("model") / "model"
    shutil.copytree(encoder, folder)
    (folder / "model.safetensors").unlink()
    return folder


def test_there_are_twenty_kinds_and_more_for_each_family() -> None:
    counts = {
        "text classification": len(CLASSIFICATION),
        "token classification": len(TAGGED),
        "question answering": len(QUESTIONS),
        "text generation": len(generation.REFUSED),
        "summarization and translation": len({**seq2seq.SUMMARIZATION, **seq2seq.TRANSLATION}),
    }
    assert all(count >= 20 for count in counts.values()), counts


def refused(task: Mapping[str, Any] | str, model: Path, data: Path, folder: Path, **dataset: Any) -> dict[str, Any]:
    """A configuration that must be refused."""
    return {
        "task": task,
        "model": {"path": str(model)},
        "dataset": {"path": str(data), **dataset},
        "method": "full",
        "save": "none",
        "output_dir": str(folder / "run"),
    }


def said_of(config: Mapping[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says of it, in one line."""
    (folder / "run.json").write_text(json.dumps(config))
    code = command_line(["run", str(folder / "run.json")])
    said = " ".join(capsys.readouterr().err.split())
    assert code in (1, 2), said
    assert "Traceback" not in said
    assert not (folder / "run" / "model").exists()
    return said


@pytest.mark.parametrize("case", CLASSIFICATION)
def test_texts_and_labels(case: str, without_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, dataset, says = CLASSIFICATION[case]
    data = tmp_path / "rows.jsonl"
    data.write_text(made if isinstance(made, str) else "".join(json.dumps(row) + "\n" for row in [*GOOD, made]))
    config = refused("text_classification", without_weights, data, tmp_path, **dataset)
    assert re.search(says, said := said_of(config, tmp_path, capsys)), said


@pytest.mark.parametrize(("row", "says"), TAGGED)
def test_words_and_tags(
    row: dict[str, Any], says: str, without_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tags.write(tmp_path / "rows.jsonl", *tags.GOOD, row)
    config = refused("token_classification", without_weights, data, tmp_path)
    assert re.search(says, said := said_of(config, tmp_path, capsys)), said


@pytest.mark.parametrize("case", QUESTIONS)
def test_questions_and_answers(
    case: str, without_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, says = QUESTIONS[case]
    data = Path(answering.written(tmp_path, [answering.GOOD, {**answering.SECOND, **changes}]))
    task = {"name": "question_answering", "doc_stride": 4}
    assert re.search(says, said := said_of(refused(task, without_weights, data, tmp_path), tmp_path, capsys)), said


def test_good_rows_come_as_far_as_the_weights(
    without_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which shows that the cases above are refused before."""
    data = tags.write(tmp_path / "rows.jsonl", *GOOD)
    said = said_of(refused("text_classification", without_weights, data, tmp_path), tmp_path, capsys)
    assert "cannot be loaded" in said
