"""LoftQ on an unquantized pretrained encoder: the run keeps the base that it made, which is used from then on."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import adapt_core
from adapt_core.runs.folder import RunFolder

WORDS = {"weather": ["rain", "wind", "clouds", "storms"], "food": ["bread", "soup", "apples", "rice"]}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "texts.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for index in range(48):
            label = sorted(WORDS)[index % 2]
            words = WORDS[label]
            writer.writerow([f"{words[index % 4]} and {words[(index + 1) % 4]} {index}", label])
    return path


@pytest.fixture(scope="module")
def base(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the pretrained model, which can be moved away."""
    path = tmp_path_factory.mktemp("original") / "model"
    shutil.copytree(minilm, path)
    return path


def configuration(base: Path, texts: Path, output: Path) -> dict[str, Any]:
    return {
        "task": "text_classification",
        "model": {"path": str(base)},
        "dataset": {"path": str(texts)},
        "method": {"name": "lora", "init_lora_weights": "loftq", "loftq_iter": 2, "r": 16},
        "training": {
            "epochs": 2,
            "batch_size": 8,
            "lr": 2e-3,
            "num_workers": 0,
            "interval": "steps",
            "interval_steps": 4,
        },
        "save": "save_pretrained",
        "output_dir": str(output),
    }


@pytest.fixture(scope="module")
def finished(base: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loftq") / "run"
    adapt_core.run(configuration(base, texts, path))
    return path


def test_what_is_saved_is_what_was_trained(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    assert result["metrics"]["accuracy"] > 0.9
    assert result["reload_difference"] == {"model": 0.0, "export": pytest.approx(0.0, abs=1e-4)}
    assert "base/model.safetensors" in result["sha256"]


def test_it_is_merged_into_its_own_base(finished: Path, tmp_path: Path, adapt: Any) -> None:
    merged = adapt("merge", str(finished), "--output", str(tmp_path / "merged"))
    assert merged["difference"] <= merged["tolerance"] * max(merged["largest_output"], 1)


def test_neither_the_card_nor_adapt_needs_the_original_base(finished: Path, base: Path, adapt: Any) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (finished / "model/README.md").read_text(), flags=re.DOTALL)
    block = "import sys\nfor name in ('adapt_core', 'adapt_nlp', 'adapt_quant'): sys.modules[name] = None\n"
    code = block + code.replace("a text", "rain and soup")
    code += "\nprint(float(model(**inputs).logits.softmax(-1).max()))\n"
    command = [sys.executable, "-c", code]
    away = base.rename(base.with_name("away"))
    try:
        (own,) = adapt("predict", str(finished), "rain and soup")
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=finished / "model")
    finally:
        away.rename(base)
    label, score = done.stdout.split()[-2:]
    assert label == own["label"]
    assert float(score) == pytest.approx(own["score"], abs=1e-5)


def test_a_resumed_run_ends_as_one_that_was_never_interrupted(
    finished: Path, base: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base is made again, out of the same weights."""
    from adapt_core.methods.lora.loftq import LoftQ

    def interrupted(self: Any, module: Any, step: int) -> None:
        if step == 6:
            raise KeyboardInterrupt

    config = configuration(base, texts, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(LoftQ, "after_step", interrupted, raising=False)
        with pytest.raises(adapt_core.Interrupted, match="the state of step 4 is saved"):
            adapt_core.run(config)
    checkpoints = RunFolder(tmp_path / "run").checkpoints
    state = checkpoints.at(4) / "loftq_state.json"
    noted = state.read_text()
    state.write_text(json.dumps({"base": "0" * 64}))
    checkpoints.mark_complete(4)
    with pytest.raises(
        adapt_core.AdaptError, match=r"makes another base than the one that .*checkpoint-4 was trained on"
    ):
        adapt_core.run(config, resume=True)
    state.write_text(noted)
    checkpoints.mark_complete(4)
    adapt_core.run(config, resume=True)
    for name in ("adapter_model.safetensors", "base/model.safetensors"):
        assert (tmp_path / "run/model" / name).read_bytes() == (finished / "model" / name).read_bytes()


def test_no_other_adapter_is_put_on_its_base(finished: Path, base: Path, texts: Path, tmp_path: Path) -> None:
    config = configuration(base, texts, tmp_path / "lora") | {"method": {"name": "lora", "r": 16}}
    adapt_core.run(config)
    for one, other in ((finished, tmp_path / "lora"), (tmp_path / "lora", finished)):
        run = adapt_core.load_run(one)
        with pytest.raises(adapt_core.AdaptError, match=r"belongs to a base of its own, .*loftq.*model.base"):
            run.add(other)


def test_a_base_that_was_tampered_with_is_named(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    file = tmp_path / "run/model/base/model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(adapt_core.AdaptError, match=r"base/model.safetensors was changed after the run saved it"):
        adapt_core.load_run(tmp_path / "run")
