"""A tiny encoder, texts that it can learn, and runs with them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_encoder import WORDS, write_encoder, write_sentences, write_texts

import adapt_core


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers, 32 wide, that knows the words."""
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 rows: a few words of one kind among ``the``; the kind is the label."""
    return write_texts(tmp_path_factory.mktemp("texts") / "rows.csv")


@pytest.fixture(scope="session")
def config(encoder: Path, texts: Path) -> dict[str, Any]:
    return _configuration("text_classification", encoder, texts)


@pytest.fixture(scope="session")
def run_folder(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with LoRA and an export."""
    return _finished(config, tmp_path_factory.mktemp("run"), epochs=6, interval="epoch")


@pytest.fixture
def quick(config: dict[str, Any], tmp_path: Path, no_reload: None) -> Any:
    """Runs two steps of a changed configuration, without the reload check."""

    return _quickly(config, tmp_path / "quick")


@pytest.fixture(scope="session")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 sentences: runs of words of one kind are entities of it, and ``the`` stands between them."""
    return write_sentences(tmp_path_factory.mktemp("sentences") / "rows.jsonl")


@pytest.fixture(scope="session")
def tagging(encoder: Path, sentences: Path) -> dict[str, Any]:
    return _configuration({"name": "token_classification", "subtask": "ner"}, encoder, sentences)


@pytest.fixture(scope="session")
def tagged_run(tagging: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with LoRA and an export."""
    return _finished(tagging, tmp_path_factory.mktemp("tagged"), lr=1e-2, epochs=20, batch_size=8)


@pytest.fixture
def quick_tags(tagging: dict[str, Any], tmp_path: Path, no_reload: None) -> Any:
    """Runs two steps of a changed configuration of token classification, without the reload check."""
    return _quickly(tagging, tmp_path / "quick")


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 rows: the answer is the run of words of music in a context, and every fourth context has none."""
    draw = random.Random(3)
    path = tmp_path_factory.mktemp("questions") / "rows.jsonl"
    with path.open("w") as file:
        for row in range(160):
            before, answer, behind = (
                " ".join(draw.choices(WORDS[kind], k=draw.randrange(1, 4))) for kind in ("weather", "music", "food")
            )
            if row % 4 == 0:
                context, answers = f"{before} the {behind}", {"text": [], "answer_start": []}
            else:
                context, answers = f"{before} {answer} {behind}", {"text": [answer], "answer_start": [len(before) + 1]}
            made = {"id": f"q{row}", "question": "the song", "context": context, "answers": answers}
            file.write(json.dumps(made) + "\n")
    return path


@pytest.fixture(scope="session")
def answering(encoder: Path, questions: Path) -> dict[str, Any]:
    return _configuration({"name": "question_answering", "doc_stride": 4}, encoder, questions)


@pytest.fixture(scope="session")
def answered_run(answering: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with LoRA and an export."""
    return _finished(answering, tmp_path_factory.mktemp("answered"), lr=1e-2, epochs=20, batch_size=8)


@pytest.fixture
def quick_answers(answering: dict[str, Any], tmp_path: Path, no_reload: None) -> Any:
    """Runs two steps of a changed configuration of question answering, without the reload check."""
    return _quickly(answering, tmp_path / "quick")


def _configuration(task: Any, encoder: Path, data: Path) -> dict[str, Any]:
    return {
        "task": task,
        "model": {"path": str(encoder)},
        "dataset": {"path": str(data)},
        "method": {"name": "full"},
        "training": {"lr": 3e-3, "epochs": 4, "num_workers": 0},
        "save": "none",
    }


def _finished(config: dict[str, Any], folder: Path, **training: Any) -> Path:
    """A finished run with LoRA and an export, evaluated at its end alone."""
    rarely = {"interval": "steps", "interval_steps": 900}
    changes = {
        "method": {"name": "lora", "r": 16, "dropout": 0.0},
        "training": {**config["training"], **rarely, **training},
        "save": "save_pretrained",
        "output_dir": str(folder / "run"),
    }
    adapt_core.run({**config, **changes})
    return folder / "run"


def _quickly(config: dict[str, Any], folder: Path) -> Any:
    def run(**changes: Any) -> dict[str, Any]:
        made = {**config, "output_dir": str(folder)}
        for key, value in changes.items():
            merges = isinstance(value, dict) and isinstance(made.get(key), dict)
            made[key] = {**made[key], **value} if merges else value
        made["training"] = {**made["training"], "max_steps": 2}
        return adapt_core.run(made, overwrite=True)

    return run


@pytest.fixture(scope="session")
def run_card() -> Any:
    """Runs the code of a model's README on a text, in a process that cannot import Adapt, and gives what it prints."""

    def run(folder: Path, text: str) -> str:
        code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
        assert 'text = "a text"' in code
        code = code.replace('text = "a text"', f"text = {text!r}")
        blocked = "import sys\nfor name in ('adapt_core', 'adapt_nlp'): sys.modules[name] = None\n"
        done = subprocess.run(
            [sys.executable, "-c", blocked + code], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.removesuffix("\n")

    return run
