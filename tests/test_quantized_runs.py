"""Runs on a quantized pretrained encoder, from a flat file to a merged model and to plain PEFT."""

from __future__ import annotations

import csv
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import adapt_core
from adapt_core import AdaptError
from adapt_core.cli.app import command_line

KINDS = {
    "weather": ["rain and wind", "a sunny day", "clouds and storms", "snow at night"],
    "food": ["bread and cheese", "a bowl of soup", "apples and rice", "salt in the stew"],
}

FOUR_BIT = "load_in_4bit: 'True'\nbnb_4bit_compute_dtype"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    draw = random.Random(3)
    path = tmp_path / "texts.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for index in range(80):
            label = sorted(KINDS)[index % 2]
            writer.writerow([" with ".join(draw.choices(KINDS[label], k=2)) + f" {index}", label])
    return path


def write(path: Path, minilm: Path, texts: Path, lines: str) -> Path:
    path.write_text(
        f"""\
TASK: text_classification
LOCAL_MODEL_PATH: {minilm}
CUSTOM_DATASET_PATH: {texts}
BATCH_SIZE: 8
NUM_WORKERS: 0
EPOCHS: 2
LR: 2e-3
OUTPUT_DIR: {path.parent / "run"}
{lines}
"""
    )
    return path


@pytest.mark.parametrize(
    ("lines", "bits", "rounding"),
    [
        # The closed forms are in adapt-quant's tests; MiniLM's small layers have relatively more constants.
        (
            f"method: lora\ninit_lora_weights: loftq\n{FOUR_BIT}: bfloat16\nSAVE_METHOD: save_pretrained",
            4.5,
            5e-2,
        ),
        (
            f"method: dora\nbnb_4bit_use_double_quant: True\n{FOUR_BIT}: float32\nSAVE_METHOD: none",
            4.2,
            1e-4,
        ),
        ("method: ssf\nload_in_8bit: True\nSAVE_METHOD: state_dict", 8.1, None),
    ],
)
def test_a_run_on_a_quantized_base_is_saved_loaded_and_merged(
    lines: str, bits: float, rounding: float | None, minilm: Path, texts: Path, tmp_path: Path, adapt: Any
) -> None:
    config = write(tmp_path / "quantized.yaml", minilm, texts, lines)
    result = adapt("run", str(config))
    assert result["metrics"]["accuracy"] > 0.9
    assert result["reload_difference"]["model"] == 0.0
    memory = result["memory"]
    assert 8 * (memory["weights"] + memory["constants"]) / memory["parameters"] == pytest.approx(bits, rel=0.02)
    assert "quantized weights" in (tmp_path / "run" / "report.html").read_text()

    merged = adapt("merge", str(tmp_path / "run"), "--output", str(tmp_path / "merged"))
    assert merged["difference"] <= merged["tolerance"] * max(merged["largest_output"], 1)
    if rounding is not None:
        assert merged["difference_from_quantized"] <= rounding * max(merged["largest_output"], 1)
    settings = json.loads((tmp_path / "merged" / "config.json").read_text())
    assert "quantization_config" not in settings


def test_the_card_loads_the_adapter_on_the_quantized_base_without_adapt(
    minilm: Path, texts: Path, tmp_path: Path, adapt: Any
) -> None:
    config = write(
        tmp_path / "quantized.yaml",
        minilm,
        texts,
        "method: lora\nload_in_4bit: True\nbnb_4bit_compute_dtype: float32\nSAVE_METHOD: none",
    )
    adapt("run", str(config))
    (own,) = adapt("predict", str(tmp_path / "run"), "a text")
    model = tmp_path / "run" / "model"
    (code,) = re.findall(r"```python\n(.*?)```", (model / "README.md").read_text(), flags=re.DOTALL)
    block = "import sys\nfor name in ('adapt_core', 'adapt_nlp', 'adapt_quant'): sys.modules[name] = None\n"
    # Where a CPU can, bitsandbytes by itself evaluates in bfloat16, whatever it is told to compute in.
    block += "import bitsandbytes.nn.modules\nbitsandbytes.nn.modules.has_avx512bf16 = lambda: False\n"
    shown = "\nprint(float(model(**inputs).logits.softmax(-1).max()))\n"
    done = subprocess.run(
        [sys.executable, "-c", block + code + shown], capture_output=True, text=True, check=True, cwd=model
    )
    label, score = done.stdout.split()[-2:]
    assert label == own["label"]
    assert float(score) == pytest.approx(own["score"], abs=1e-5)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("method: lora\nload_in_4bit: True\nload_in_8bit: True", "load_in_8bit"),
        ("method: full\nload_in_4bit: True", "the method full cannot train on a base in 4 bits"),
        ("method: lora\nload_in_4bit: True\nbnb_4bit_quant_type: nf8", "bnb_4bit_quant_type"),
        ("method: lora\nload_in_8bit: True\nbnb_4bit_quant_type: nf4", "bnb_4bit_quant_type"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_loaded(
    lines: str, message: str, minilm: Path, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(tmp_path / "quantized.yaml", minilm, texts, lines)
    assert command_line(["check", str(config)]) == 2
    assert message in capsys.readouterr().out


def test_runs_on_bases_that_are_quantized_otherwise_are_told_apart(
    minilm: Path, texts: Path, tmp_path: Path, adapt: Any
) -> None:
    lines = f"method: lora\nSAVE_METHOD: none\n{FOUR_BIT}: float32\nbnb_4bit_quant_type: "
    for kind in ("nf4", "fp4"):
        (tmp_path / kind).mkdir()
        adapt("run", str(write(tmp_path / kind / "run.yaml", minilm, texts, lines + kind)), "EPOCHS=0.1")
    run = adapt_core.load_run(tmp_path / "nf4" / "run")
    with pytest.raises(AdaptError, match="has bnb_4bit with quant_type nf4") as refused:
        run.add(tmp_path / "fp4" / "run")
    assert "has another quantization: bnb_4bit with quant_type fp4, and" in str(refused.value)


def test_a_quantized_base_is_evaluated_as_it_is(minilm: Path, texts: Path, tmp_path: Path, adapt: Any) -> None:
    lines = f"method: lora\nSAVE_METHOD: none\n{FOUR_BIT}: float32\nDO_TRAIN: False"
    result = adapt("run", str(write(tmp_path / "run.yaml", minilm, texts, lines)))
    assert result["parameters"]["trainable"] == 0 and result["artifact"] is None
    assert 0.5 < result["metrics"]["loss"] < 1.0  # log 2 is chance
