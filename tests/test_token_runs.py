"""Token classification with a real pretrained encoder on real data: the examples, and a quantized base."""

from __future__ import annotations

import io
import json
import runpy
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml

EXAMPLES = Path(__file__).parents[1] / "examples" / "token_classification"

pytestmark = pytest.mark.e2e


def few_steps(name: str, data: Path, minilm: Path, folder: Path, **changes: Any) -> Path:
    """The example of a name as a file for a few steps on other data, with the model from its package."""
    made = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    made |= {"model": {"path": str(minilm)}, "output_dir": str(folder / "run"), **changes}
    made["dataset"] = {"path": str(data), "max_eval_samples": 100}
    made["training"] |= {"max_steps": 25, "lr": 3e-3}
    (folder / "run.yaml").write_text(yaml.safe_dump(made))
    return folder / "run.yaml"


@pytest.mark.usefixtures("no_reload")
def test_parts_of_speech_of_the_example(test_data: Path, minilm: Path, tmp_path: Path, adapt: Any) -> None:
    data = test_data / "token_classification" / "ud_ewt_pos"
    result = adapt("run", str(few_steps("pos", data, minilm, tmp_path)))
    assert result["metrics"]["accuracy"] > 0.4  # the commonest tag, NOUN, has 0.17
    (found,) = adapt("predict", str(tmp_path / "run"), "The dog sleeps.")
    assert found["tokens"] == ["The", "dog", "sleeps", "."]
    assert found["tags"][-1] == "PUNCT"


@pytest.mark.usefixtures("no_reload")
def test_noun_phrases_of_the_example(test_data: Path, minilm: Path, tmp_path: Path, adapt: Any) -> None:
    module: dict[str, Any] = runpy.run_path(str(EXAMPLES / "noun_phrases.py"))
    tags = module["chunk_tags"](["DET", "ADJ", "NOUN", "VERB", "PRON", "NUM"])
    assert tags == ["B-NP", "I-NP", "I-NP", "O", "B-NP", "O"]
    with redirect_stdout(io.StringIO()):
        module["main"](str(test_data / "token_classification" / "ud_ewt_pos"), str(tmp_path / "chunks"))
    result = adapt("run", str(few_steps("chunk", tmp_path / "chunks", minilm, tmp_path)))
    assert result["metrics"]["f1"] > 0.2
    (found,) = adapt("predict", str(tmp_path / "run"), "I saw the old house.")
    assert {each["type"] for each in found["entities"]} <= {"NP"}
    assert found["entities"]


def test_entities_of_the_example_on_a_base_in_4_bits(test_data: Path, minilm: Path, tmp_path: Path, adapt: Any) -> None:
    data = test_data / "token_classification" / "wnut_17_ner"
    quantized = {"quantization": {"name": "bnb_4bit", "compute_dtype": "float32"}, "save": "none"}
    result = adapt("run", str(few_steps("ner", data, minilm, tmp_path, **quantized)))
    assert result["reload_difference"]["model"] == 0.0
    assert result["metrics"]["accuracy"] > 0.8  # 0.92 of the words are O
    test = adapt("eval", str(tmp_path / "run"), "--split", "test")
    assert test["rows"] == 500
    merged = adapt("merge", str(tmp_path / "run"), "--output", str(tmp_path / "merged"))
    assert merged["difference"] <= merged["tolerance"] * max(merged["largest_output"], 1)
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["architectures"] == [
        "BertForTokenClassification"
    ]
