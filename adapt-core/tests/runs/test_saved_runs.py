"""What a run saved is used as it was saved, from wherever it lies, or not at all."""

from __future__ import annotations

import hashlib
import re
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.runs.checksums import choices_sha256
from adapt_core.utils.files import read_json

pytestmark = pytest.mark.usefixtures("no_reload")


@pytest.fixture(scope="module")
def finished(toy: dict[str, Any], no_reload: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, made once."""
    run = tmp_path_factory.mktemp("finished") / "run"
    training = {**toy["training"], "max_steps": 4, "lr": 0.05, "batch_size": 64}
    adapt_core.run({**toy, "training": training, "output_dir": str(run)})
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it, in another place."""
    return shutil.copytree(finished, tmp_path / "copy")


def test_no_export_where_none_is_wanted(run: Path) -> None:
    assert read_json(run / "result.json")["export"] is None
    assert not (run / "export").exists()


def test_a_run_made_with_relative_paths_loads_from_anywhere(
    toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(toy_config()["model"]["path"]).parent)
    config = toy_config(model={"path": "model"}, dataset={"path": "data.json"}, training={"max_steps": 4})
    adapt_core.run(config)
    monkeypatch.chdir(tmp_path)
    assert len(adapt_core.load_run("run").predict(["[3, 4, 5]"])) == 1


def test_a_loaded_run_predicts_and_evaluates_as_it_did(run: Path) -> None:
    loaded = adapt_core.load_run(run)
    assert [each["label"] in (0, 1) for each in loaded.predict(["[3, 4, 5]", "[90, 91, 92]"])] == [True, True]
    again = adapt_core.evaluate_run(run)
    assert again["metrics"]["accuracy"] == read_json(run / "result.json")["metrics"]["accuracy"]
    assert again["rows"] == 64


@pytest.mark.parametrize(
    ("file", "says"), [("adapter_model.safetensors", "is damaged"), ("adapter_config.json", "cannot be read")]
)
def test_a_damaged_adapter_is_an_error_that_names_the_file(run: Path, file: str, says: str) -> None:
    path = run / "model" / file
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(AdaptError, match=rf"{re.escape(file)} {says}"):
        adapt_core.load_run(run)


def test_an_adapter_that_was_changed_or_lost_is_not_loaded(run: Path) -> None:
    weights, settings = run / "model" / "adapter_model.safetensors", run / "model" / "adapter_config.json"
    assert read_json(run / "result.json")["sha256"][weights.name] == hashlib.sha256(weights.read_bytes()).hexdigest()
    (run / "model" / "README.md").write_text("# Mine\n")
    adapt_core.load_run(run)

    whole = weights.read_bytes()
    weights.write_bytes(whole[:-8] + bytes(8))
    with pytest.raises(AdaptError, match=r"adapter_model\.safetensors was changed after the run saved it"):
        adapt_core.load_run(run)
    weights.unlink()
    with pytest.raises(AdaptError, match=r"adapter_model\.safetensors is missing"):
        adapt_core.load_run(run)
    weights.write_bytes(whole)
    text = settings.read_text()
    settings.write_text(text.replace('"lora_alpha": 16', '"lora_alpha": 64'))
    assert settings.read_text() != text
    with pytest.raises(AdaptError, match=r"adapter_config\.json was changed after the run saved it"):
        adapt_core.load_run(run)


@pytest.mark.parametrize("content", ["{}", "", None])
def test_a_run_whose_data_json_was_changed_or_lost_is_not_loaded(run: Path, content: str | None) -> None:
    whole = adapt_core.load_run(run)
    file = run / "data.json"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    for load in (adapt_core.load_run, whole.add):
        with pytest.raises(AdaptError, match=r"data\.json( was changed after the run saved it)?"):
            load(run)


@pytest.mark.parametrize(
    ("old", "new", "refused"), [("alpha: 16", "alpha: 64", True), ("batch_size: 64", "batch_size: 8", False)]
)
def test_a_run_whose_method_was_changed_afterwards_is_not_loaded(run: Path, old: str, new: str, refused: bool) -> None:
    file = run / "config.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(AdaptError, match=r"config\.yaml was changed after") if refused else nullcontext():
        adapt_core.load_run(run)


def test_the_order_of_keys_is_no_other_configuration() -> None:
    """Keys may be numbers, too: the names of labels."""
    first = choices_sha256({"task": {"name": "a", "labels": {0: "b", "c": "d"}}, "seed": 1})
    assert first == choices_sha256({"seed": 2, "task": {"labels": {"c": "d", 0: "b"}, "name": "a"}})
    assert first != choices_sha256({"task": {"name": "a", "labels": {0: "b", "c": "e"}}})


def test_an_adapter_is_not_put_on_a_base_of_another_architecture(
    run: Path, toy: dict[str, Any], without_biases: Any
) -> None:
    file = run / "config.yaml"
    other = without_biases("llama")["model"]["path"]
    file.write_text(file.read_text().replace(toy["model"]["path"], other))
    with pytest.raises(AdaptError, match=r"The base model .*llama is not the one with which the run in .*copy began"):
        adapt_core.load_run(run)
