"""What a run of token classification leaves, used in a process that cannot import Adapt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adapt_core

TEXT = "the rain storm the, soup and 'the' piano."


def tags_outside(folder: Path, without: tuple[str, ...] = ("adapt_core", "adapt_nlp")) -> list[str]:
    """What the code of the README prints for the text, a word and its tag a line."""
    code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    code = code.replace('text = "Ada Lovelace was born in London."', f"text = {TEXT!r}")
    assert TEXT in code
    blocked = f"import sys\nfor name in {without!r}: sys.modules[name] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def tags_inside(folder: Path) -> list[str]:
    run = adapt_core.load_run(folder)
    (found,) = run.predict([TEXT])
    (scores,) = run.task.outputs(run.model, [{"text": TEXT}], run.info)
    names = [run.info["label_names"][tag] for tag in np.argmax(scores, axis=-1)]
    return [f"{word} {name}" for word, name in zip(found["tokens"], names, strict=True)]


def test_the_cards_code_tags_a_text_as_adapt_predict_does(tagged_run: Path) -> None:
    lines = tags_outside(tagged_run / "model")
    assert lines == tags_inside(tagged_run)
    assert lines[:4] == ["the O", "rain B-weather", "storm I-weather", "the O"]


@pytest.mark.usefixtures("no_reload")
def test_a_whole_model_and_its_card_do_too(tagging: dict[str, Any], tmp_path: Path) -> None:
    training = {**tagging["training"], "max_steps": 20}
    adapt_core.run({**tagging, "training": training, "output_dir": str(tmp_path / "run")})
    assert tags_outside(tmp_path / "run" / "model") == tags_inside(tmp_path / "run")
