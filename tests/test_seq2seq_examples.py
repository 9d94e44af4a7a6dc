"""The examples of summarization and translation, for a few steps with tiny models on real data."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
EXAMPLES = {
    "summarization/t5": ("t5", "scitldr"),
    "summarization/bart": ("bart", "scitldr"),
    "translation/t5": ("t5", "tatoeba_en_sv"),
    "translation/marian": ("bart", "tatoeba_en_sv"),
    "translation/nllb": ("bart", "tatoeba_en_sv"),
}

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "adapt-nlp" / "tests")
        import tiny_seq2seq

    return tiny_seq2seq


def test_every_example_is_run() -> None:
    files = [each for task in ("summarization", "translation") for each in (ROOT / "examples" / task).glob("*.yaml")]
    assert {f"{each.parent.name}/{each.stem}" for each in files} == set(EXAMPLES)


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str, tiny: ModuleType, test_data: Path, tmp_path: Path, adapt: Any) -> None:
    kind, data = EXAMPLES[name]
    task = name.split("/", maxsplit=1)[0]
    made = yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text())
    kept = {key: value for key, value in made["dataset"].items() if key.endswith("_column")}
    model = tiny.MODELS[kind](tmp_path / "model", **({"max_position_embeddings": 512} if kind == "bart" else {}))
    made["model"] = {"path": str(model)}
    made["dataset"] = {"path": str(test_data / task / data), **kept, "max_train_samples": 32, "max_eval_samples": 8}
    made["training"] |= {"max_steps": 2, "batch_size": 4}
    made["task"] |= {"generation_max_length": 8}
    if made["task"].get("target_lang") == "ro":  # of which there are no data here
        made["task"]["target_lang"] = "sv"
    if "quantization" in made:
        made["quantization"]["compute_dtype"] = "float32"
    made["output_dir"] = str(tmp_path / "run")
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(made))
    result = adapt("run", str(tmp_path / "run.yaml"))
    wanted = {"bleu", "chrf"} if task == "translation" else {"rouge1", "rouge2", "rougeL", "rougeLsum"}
    assert wanted <= set(result["metrics"])
    (found,) = adapt("predict", str(tmp_path / "run"), "The cat sleeps.", "-O", "max_new_tokens=4")
    assert set(found) == {"text", "summary" if task == "summarization" else "translation"}
