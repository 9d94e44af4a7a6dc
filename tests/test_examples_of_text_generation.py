"""The examples of text generation: each passes the check as it stands, and runs on a tiny model and a few rows."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import adapt_core
from adapt_core.plan.build import check

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples" / "text_generation").glob("*.yaml"))
KINDS = {"plain": "text", "instruction": "instruction", "chat": "chat"}


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "adapt-nlp" / "tests")
        import tiny_language_model

    return tiny_language_model


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_right_and_runs(file: Path, tiny: ModuleType, tmp_path: Path) -> None:
    assert {each.stem for each in EXAMPLES} == set(KINDS)
    assert check(file) == []
    config: dict[str, Any] = yaml.safe_load(file.read_text())
    data = tiny.write_split(tmp_path / "data", KINDS[file.stem])
    if config["dataset"].pop("validation_split", None) == "test":
        (data / "validation.jsonl").rename(data / "test.jsonl")
        config["dataset"]["validation_split"] = "test"
    config["dataset"] |= {"path": str(data)}
    del config["dataset"]["name"]
    config["model"] = {"path": str(tiny.write_llama(tmp_path / "model", max_position_embeddings=1024))}
    config["training"] |= {"max_steps": 2, "num_workers": 0}
    result = adapt_core.run({**config, "save": "none", "output_dir": str(tmp_path / "run")})
    assert result["steps"] == 2
    assert result["metrics"]["perplexity"] > 1
