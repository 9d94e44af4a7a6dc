"""Training rows that are a stream: every task trains on one, and resumes; what cannot work is refused."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import tiny_language_model
import tiny_seq2seq
import torch
from conftest import WORDS
from safetensors.torch import load_file

import adapt_core
from adapt_core.errors import AdaptError, ConfigError, Interrupted
from adapt_core.plan.build import build_plan
from adapt_nlp.data import files
from adapt_nlp.data.streaming import EncodedStream, StreamedRows, shuffled
from adapt_nlp.data.table import Table

KINDS = sorted(WORDS)


def split(folder: Path, rows: Path, validation: int = 20) -> str:
    """A folder of rows to train on, and the first of them again to evaluate on."""
    folder.mkdir()
    lines = rows.read_text().splitlines(keepends=True)
    head = lines[:1] if rows.suffix == ".csv" else []
    (folder / f"train{rows.suffix}").write_text("".join(lines))
    (folder / f"validation{rows.suffix}").write_text("".join([*head, *lines[len(head) :][:validation]]))
    return str(folder)


def streamed(config: dict[str, Any], folder: Path, run: Path, **dataset: Any) -> dict[str, Any]:
    """The configuration on a stream of its rows, for four steps."""
    path = split(folder, Path(config["dataset"]["path"])) if not folder.exists() else str(folder)
    training = {**config["training"], "max_steps": 4, "logging_steps": 1}
    return {
        **config,
        "dataset": {"path": path, "streaming": True, **dataset},
        "training": training,
        "output_dir": str(run),
    }


# ---- every task -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_texts_are_classified_from_a_stream(
    config: dict[str, Any], tmp_path: Path, no_reload: None, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    made = streamed(config, tmp_path / "data", tmp_path / "run", label_names=KINDS)
    made["training"]["num_workers"] = workers
    result = adapt_core.run(made)
    assert result["steps"] == 4 and 0 <= result["metrics"]["accuracy"] <= 1
    said = capsys.readouterr().err
    assert "The training rows are a stream" in said and "dataset.shuffle_buffer" in said
    info = json.loads((tmp_path / "run" / "data.json").read_text())
    assert info["streamed"] == 300 and "train" not in info["rows"]
    assert "a stream of rows" in (tmp_path / "run" / "model" / "README.md").read_text()


def test_words_are_tagged_from_a_stream(tagging: dict[str, Any], tmp_path: Path, no_reload: None) -> None:
    names = ["O", *(f"{prefix}-{kind}" for prefix in "BI" for kind in KINDS)]
    result = adapt_core.run(streamed(tagging, tmp_path / "data", tmp_path / "run", label_names=names))
    assert result["steps"] == 4 and "f1" in result["metrics"]


def test_questions_are_answered_from_a_stream(answering: dict[str, Any], tmp_path: Path, no_reload: None) -> None:
    made = streamed(answering, tmp_path / "data", tmp_path / "run")
    with pytest.raises(AdaptError, match=r"dataset\.streaming: .* say it in task\.unanswerable"):
        adapt_core.run(made)
    result = adapt_core.run({**made, "task": {**made["task"], "unanswerable": True}}, overwrite=True)
    assert result["steps"] == 4 and "exact_match" in result["metrics"]


@pytest.mark.parametrize("task", [{"packing": True}, {"packing": False}])
def test_texts_are_generated_from_a_stream(tmp_path: Path, no_reload: None, task: dict[str, Any]) -> None:
    model = tiny_language_model.write_llama(tmp_path / "model")
    data = tiny_language_model.write_split(tmp_path / "data", "chat")
    dataset, training = {"streaming": True}, {"max_steps": 4}
    config = tiny_language_model.configuration(
        model, data, tmp_path / "run", dataset=dataset, training=training, task=task
    )
    result = adapt_core.run(config)
    assert result["steps"] == 4 and result["metrics"]["perplexity"] > 0


def test_texts_are_summarized_from_a_stream(tmp_path: Path, no_reload: None) -> None:
    model = tiny_seq2seq.write_t5(tmp_path / "model")
    data = tiny_seq2seq.write_split(tmp_path / "data", tiny_seq2seq.DOCUMENTS)
    dataset, training = {"streaming": True}, {"max_steps": 4}
    config = tiny_seq2seq.configuration(
        "summarization", model, data, tmp_path / "run", dataset=dataset, training=training
    )
    assert adapt_core.run(config)["steps"] == 4


# ---- the order of rows, and resuming --------------------------------------------------------------------------


def test_a_shuffled_stream_has_every_row_once_and_few_in_memory() -> None:
    for count, buffer in ((100, 10), (5, 10), (100, 1), (0, 3)):
        order = list(shuffled(range(count), buffer, 7))
        assert sorted(order) == list(range(count))
        assert all(row - place < max(buffer, 1) for place, row in enumerate(order)), "none comes before it is read"
        assert (order != list(range(count))) == (count > 1 and buffer > 1)
    assert list(shuffled(range(50), 9, 7)) == list(shuffled(range(50), 9, 7)) != list(shuffled(range(50), 9, 8))


def test_a_stream_is_read_no_further_than_it_is_trained_on() -> None:
    read = 0

    def parts() -> Iterator[Table]:
        nonlocal read
        for first in range(0, 10**9, 10):
            read += 1
            yield Table("data", {"x": list(range(first, first + 10))}, 10, first=first)

    rows = StreamedRows(parts, lambda table: list(table.columns["x"]), seed=1, buffer=20)
    stream = EncodedStream(rows, lambda values: ({"x": value} for value in values))
    first = [row["x"] for row in islice(stream, 15)]
    assert (len(set(first)), read) == (15, 4)
    assert [row["x"] for row in islice(stream, 15)] == first, "the same epoch"
    stream.set_epoch(1)
    assert [row["x"] for row in islice(stream, 15)] != first


@contextmanager
def stopped_at(step: int) -> Iterator[None]:
    """A real SIGTERM to this process, when the optimizer is about to take that step."""
    original, taken = torch.optim.AdamW.step, 0

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal taken
        taken += len(self.param_groups[0]["params"]) > 1  # not the trial step that checks the machine
        if taken == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", counted)
        yield


def test_a_run_on_a_stream_that_was_stopped_ends_as_one_that_was_not(
    config: dict[str, Any], tmp_path: Path, no_reload: None
) -> None:
    """Beyond the end of the first pass: the same weights, bit for bit."""

    def made(name: str) -> dict[str, Any]:
        config_of = streamed(config, tmp_path / "data", tmp_path / name, label_names=KINDS, shuffle_buffer=50)
        steps = {"max_steps": 24, "interval": "steps", "interval_steps": 10}  # 300 rows are 19 steps
        return {**config_of, "training": {**config_of["training"], **steps}}

    adapt_core.run(made("whole"))
    with stopped_at(21), pytest.raises(Interrupted):
        adapt_core.run(made("stopped"))
    adapt_core.run(made("stopped"), resume=True)
    whole, stopped = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)
    metrics = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "stopped")]
    assert metrics[0] == metrics[1]


# ---- what is refused ------------------------------------------------------------------------------------------


def test_a_stream_needs_max_steps_and_draws_nothing(config: dict[str, Any], tmp_path: Path) -> None:
    made = streamed(config, tmp_path / "data", tmp_path / "run", label_names=KINDS, max_train_samples=9)
    del made["training"]["max_steps"]
    with pytest.raises(ConfigError) as error:
        build_plan(made)
    assert {problem.key for problem in error.value.problems} == {
        "training.max_steps",
        "dataset.max_train_samples",
    }
    assert "nobody knows how many rows a stream has" in str(error.value)


def test_labels_must_be_named_and_evaluation_rows_be_apart(config: dict[str, Any], texts: Path, tmp_path: Path) -> None:
    with pytest.raises(AdaptError, match=r"dataset\.streaming: .*train\.csv: what labels there are must be known"):
        adapt_core.run(streamed(config, tmp_path / "data", tmp_path / "run"))
    made = streamed(config, tmp_path / "data", tmp_path / "run", label_names=KINDS)
    with pytest.raises(AdaptError, match="has no validation split, and nothing can be held out of a stream") as error:
        adapt_core.run({**made, "dataset": {**made["dataset"], "path": str(texts)}}, overwrite=True)
    assert "training.do_eval=false" in error.value.hint


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_row_is_refused_with_its_line_when_its_turn_comes(
    config: dict[str, Any], tmp_path: Path, no_reload: None, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Also from a process that loads data: without a traceback."""
    monkeypatch.setattr("adapt_nlp.data.delimited.BATCH", 20)
    made = streamed(config, tmp_path / "data", tmp_path / "run", label_names=KINDS, shuffle_buffer=0)
    train = tmp_path / "data" / "train.csv"
    lines = train.read_text().splitlines()
    lines[45] = " ,food"
    train.write_text("\n".join(lines))
    made["training"]["num_workers"] = workers
    with pytest.raises(AdaptError) as error:
        adapt_core.run(made)
    assert error.value.message == f"{train}: column 'text' is empty at line 46 (1 of 20 rows)."
    assert "Traceback" not in str(error.value)


def test_the_first_rows_alone_are_read_before_training(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapt_nlp.data.delimited.BATCH", 20)
    made = streamed(config, tmp_path / "data", tmp_path / "run", label_names=KINDS)
    data = build_plan(made).make_task().load_data()
    assert (len(data.train), data.info["streamed"], len(data.evaluation)) == (20, 20, 20)
    assert files.BATCH == 1000
