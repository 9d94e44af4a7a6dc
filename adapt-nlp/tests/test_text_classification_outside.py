"""What a run leaves, loaded in processes that cannot import Adapt."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adapt_core

OUTSIDE = """
import json, sys
import torch
for name in {without}:
    sys.modules[name] = None  # importing it raises
{code}
batch = tokenizer(["rain wind storm", "soup bread"], padding=True, return_tensors="pt")
print(json.dumps(model(**batch).logits.tolist()))
"""


def outside(code: str, folder: Path, without: tuple[str, ...] = ("adapt_core", "adapt_nlp")) -> np.ndarray:
    """Logits from a process in which Adapt, or a part of it, cannot be imported."""
    script = OUTSIDE.format(code=code, without=without)
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return np.array(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="session")
def expected(run_folder: Path) -> np.ndarray:
    run = adapt_core.load_run(run_folder)
    return np.stack(run.task.outputs(run.model, [{"text": "rain wind storm"}, {"text": "soup bread"}], run.info))


def test_the_cards_code_loads_the_adapter_without_adapt(run_folder: Path, expected: np.ndarray) -> None:
    card = (run_folder / "model" / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0]
    assert np.allclose(outside(code, run_folder / "model"), expected, atol=1e-6)


def test_the_card_of_a_tuner_of_adapts_own_says_what_makes_it_known(config: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    training = {**config["training"], "max_steps": 3}
    adapt_core.run({**config, "method": "bitfit", "training": training, "output_dir": str(run)})
    loaded = adapt_core.load_run(run)
    expected = np.stack(
        loaded.task.outputs(loaded.model, [{"text": "rain wind storm"}, {"text": "soup bread"}], loaded.info)
    )
    code = (run / "model" / "README.md").read_text().split("```python\n")[1].split("```")[0]
    assert "import adapt_core.peft" in code
    assert np.allclose(outside(code, run / "model", without=("adapt_nlp",)), expected, atol=1e-6)


def test_transformers_loads_the_adapter_without_adapt(run_folder: Path, expected: np.ndarray) -> None:
    code = (
        "from transformers import AutoModelForSequenceClassification, AutoTokenizer\n"
        "model = AutoModelForSequenceClassification.from_pretrained('.', num_labels=3).eval()\n"
        "tokenizer = AutoTokenizer.from_pretrained('.')"
    )
    assert np.allclose(outside(code, run_folder / "model"), expected, atol=1e-6)


def test_transformers_loads_the_merged_export_without_adapt_or_peft(run_folder: Path, expected: np.ndarray) -> None:
    code = (
        "sys.modules['peft'] = None\n"
        "from transformers import AutoModelForSequenceClassification, AutoTokenizer\n"
        "model = AutoModelForSequenceClassification.from_pretrained('.').eval()\n"
        "assert model.config.id2label[2] == 'weather', model.config.id2label\n"
        "tokenizer = AutoTokenizer.from_pretrained('.')"
    )
    assert np.allclose(outside(code, run_folder / "export" / "save_pretrained"), expected, atol=1e-5)


@pytest.mark.usefixtures("no_reload")
def test_a_whole_model_loads_with_its_labels_by_its_card(config: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    adapt_core.run({**config, "training": {**config["training"], "max_steps": 3}, "output_dir": str(run)})
    loaded = adapt_core.load_run(run)
    expected = np.stack(
        loaded.task.outputs(loaded.model, [{"text": "rain wind storm"}, {"text": "soup bread"}], loaded.info)
    )
    code = (run / "model" / "README.md").read_text().split("```python\n")[1].split("```")[0]
    code += "\nassert set(model.config.id2label.values()) == {'food', 'music', 'weather'}"
    assert np.allclose(outside(code, run / "model"), expected, atol=1e-6)


def test_texts_are_cut_alike_without_adapt(quick: Any, tmp_path: Path) -> None:
    quick(task={"name": "text_classification", "max_length": 4})
    folder = tmp_path / "quick"
    code = (folder / "model" / "README.md").read_text().split("```python\n")[1].split("```")[0]
    code += (
        "\nlong, short = (tokenizer(text, truncation=True)['input_ids']"
        " for text in ('rain sun wind cloud storm', 'rain sun'))\nassert long == short, (long, short)"
    )
    outside(code, folder / "model")
