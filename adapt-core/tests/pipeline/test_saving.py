"""What a run leaves: every format loads again, and what is not what was trained fails the run."""

from __future__ import annotations

import hashlib
import json
import re
from collections import namedtuple
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.methods.full.method import Full
from adapt_core.runs.checksums import choices_sha256
from adapt_core.savers.state_dict import StateDict

pytestmark = pytest.mark.slow

QUICK = {"max_steps": 4, "lr": 0.05}

FILES = {
    "state_dict": "export/state_dict.pt",
    "safetensors": "export/model.safetensors",
    "save_pretrained": "export/save_pretrained",
    "full_torch_model": "export/model.pt",
}


def tensors(path: Path) -> dict[str, torch.Tensor]:
    """An export's tensors, read without Adapt."""
    from safetensors.torch import load_file

    if path.is_dir():
        return load_file(path / "model.safetensors")
    if path.suffix == ".safetensors":
        return load_file(path)
    loaded = torch.load(path, weights_only=path.name != "model.pt")
    return dict(loaded.state_dict() if isinstance(loaded, torch.nn.Module) else loaded)


@pytest.mark.parametrize("saver", FILES)
@pytest.mark.parametrize("method", ["lora", "full"])
def test_every_save_method_writes_the_whole_trained_model(toy_config: Any, saver: str, method: str) -> None:
    result = adapt_core.run(toy_config(method=method, save=saver, training=QUICK))
    run = Path(toy_config()["output_dir"])
    assert result["export"] == FILES[saver]
    assert result["artifact"] == "model"
    found = tensors(run / FILES[saver])
    names = {name for name, _ in adapt_core.load_run(run).model.module.named_parameters()}
    assert not any("lora" in name for name in found)
    assert "classifier.weight" in found
    if method == "full":
        assert set(found) >= names
    # The verification has loaded both again in a new process and compared them on real rows.
    assert result["reload_difference"]["model"] == 0.0
    assert 0 <= result["reload_difference"]["export"] < 1e-5


@pytest.mark.parametrize(
    ("method", "saver"),
    [("ssf", "safetensors"), ("ssf", "state_dict"), ("ssf", "save_pretrained"), ("beft", "safetensors")],
)
def test_biases_that_merging_adds_are_in_the_export(without_biases: Any, method: str, saver: str) -> None:
    config = without_biases("llama", method=method, save=saver, training=QUICK)
    result = adapt_core.run(config)
    found = tensors(Path(config["output_dir"]) / FILES[saver])
    assert found["model.layers.0.self_attn.q_proj.bias"].abs().max() > 0
    assert 0 <= result["reload_difference"]["export"] < 1e-5


@pytest.mark.parametrize("method", ["ssf", "beft"])
def test_a_format_that_cannot_hold_them_is_refused_before_training(without_biases: Any, method: str) -> None:
    config = without_biases("qwen2", method=method, save="save_pretrained", training=QUICK)
    with pytest.raises(AdaptError, match=r"will give \d+ layers a bias, .*o_proj.bias among them.* cannot hold"):
        adapt_core.run(config)
    assert not (Path(config["output_dir"]) / "metrics.jsonl").exists()


def test_a_method_that_wraps_nothing_may_add_biases_too(without_biases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Full, "added_biases", lambda _, module: [f"layers.{each}.self_attn.o_proj" for each in (0, 1)], raising=False
    )
    config = without_biases("qwen2", method="full", save="save_pretrained", training=QUICK)
    with pytest.raises(AdaptError, match=r"will give 2 layers a bias, layers\.0\.self_attn\.o_proj\.bias among them"):
        adapt_core.run(config)


def test_an_adapter_is_always_saved_in_pefts_format_too(toy_config: Any) -> None:
    adapt_core.run(toy_config(save="safetensors", training=QUICK))
    model = Path(toy_config()["output_dir"], "model")
    assert json.loads((model / "adapter_config.json").read_text())["peft_type"] == "LORA"
    assert (model / "adapter_model.safetensors").is_file()
    assert not (model / "config.json").exists()  # transformers would take the folder for a whole model


def test_mixed_precision_is_taken_off_the_model_before_it_is_saved(
    toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accelerate leaves it on; the reload, in a folder whose modules are none of its business, would differ."""
    (tmp_path / "numpy.py").write_text("raise RuntimeError('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    for do_eval in (True, False):
        training = {**QUICK, "bf16": True, "do_eval": do_eval}
        result = adapt_core.run(toy_config(training=training, save="full_torch_model"), overwrite=True)
        assert result["reload_difference"]["model"] == 0.0


def test_no_export_where_none_is_wanted(toy_config: Any) -> None:
    result = adapt_core.run(toy_config(save="none", training=QUICK))
    assert result["export"] is None
    assert not Path(toy_config()["output_dir"], "export").exists()


def test_what_was_not_saved_right_fails_the_run_with_the_numbers(
    toy_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = StateDict.save

    def damaged(self: Any, model: Any, folder: Path) -> Path:
        path = original(self, model, folder)
        content = torch.load(path, weights_only=True)
        content["classifier.bias"] += 0.5
        torch.save(content, path)
        return path

    monkeypatch.setattr(StateDict, "save", damaged)
    with pytest.raises(
        AdaptError, match=r"run/export is not what was trained with method lora: .* differ by up to 0\.5"
    ):
        adapt_core.run(toy_config(save="state_dict", training=QUICK))
    run = Path(toy_config()["output_dir"])
    assert not (run / "result.json").exists()
    assert list((run / "checkpoints").glob("*/complete.json"))  # the training is not lost


def test_what_cannot_be_loaded_again_fails_the_run(toy_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = StateDict.save

    def truncated(self: Any, model: Any, folder: Path) -> Path:
        path = original(self, model, folder)
        path.write_bytes(path.read_bytes()[:200])
        return path

    monkeypatch.setattr(StateDict, "save", truncated)
    with pytest.raises(AdaptError, match="cannot be loaded again"):
        adapt_core.run(toy_config(save="state_dict", training=QUICK))


def test_a_full_disk_is_noticed_before_training(toy_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(AdaptError, match=r"(?s)disk is too full.*checkpoints.*model/"):
        adapt_core.run(toy_config(save="state_dict"))
    assert not Path(toy_config()["output_dir"]).exists()


def test_the_run_folder_holds_what_it_promises(toy_config: Any) -> None:
    result = adapt_core.run(toy_config(save="state_dict", training=QUICK))
    run = Path(toy_config()["output_dir"])
    assert {each.name for each in run.iterdir()} - {"run.lock"} == {
        "config.yaml",
        "environment.json",
        "data.json",
        "metrics.jsonl",
        "checkpoints",
        "model",
        "export",
        "report.html",
        "result.json",
    }
    assert json.loads((run / "result.json").read_text()) == json.loads(json.dumps(result))
    assert result["status"] == "completed"
    assert set(result["timing_s"]) >= {"load", "prepare", "train", "evaluate", "save"}
    assert result["parameters"]["trainable"] < result["parameters"]["total"]
    assert result["throughput"]["rows_per_second"] > 0
    assert result["peak_memory_bytes"] > 10**7
    assert json.loads((run / "environment.json").read_text())["packages"]["torch"]


def test_a_run_that_fails_before_training_leaves_its_folder_free(toy_config: Any) -> None:
    with pytest.raises(AdaptError, match="matches no layer"):
        adapt_core.run(toy_config(method={"name": "lora", "target_modules": ["nothing"]}))
    adapt_core.run(toy_config(training=QUICK))  # in the same folder, at once


def test_a_run_made_with_relative_paths_loads_from_anywhere(
    toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(toy_config()["model"]["path"]).parent)
    config = toy_config(model={"path": "model"}, dataset={"path": "data.json"}, training=QUICK)
    adapt_core.run(config)
    monkeypatch.chdir(tmp_path)
    assert len(adapt_core.load_run("run").predict(["[3, 4, 5]"])) == 1


def test_a_loaded_run_predicts_and_evaluates_as_it_did(toy_config: Any) -> None:
    result = adapt_core.run(toy_config(training=QUICK))
    run = adapt_core.load_run(toy_config()["output_dir"])
    assert [each["label"] in (0, 1) for each in run.predict(["[3, 4, 5]", "[90, 91, 92]"])] == [True, True]
    again = adapt_core.evaluate_run(toy_config()["output_dir"])
    assert again["metrics"]["accuracy"] == result["metrics"]["accuracy"]
    assert again["rows"] == 64


@pytest.mark.parametrize(
    ("file", "says"), [("adapter_model.safetensors", "is damaged"), ("adapter_config.json", "cannot be read")]
)
def test_a_damaged_adapter_is_an_error_that_names_the_file(toy_config: Any, file: str, says: str) -> None:
    adapt_core.run(toy_config(training=QUICK))
    path = Path(toy_config()["output_dir"], "model", file)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(AdaptError, match=rf"{re.escape(file)} {says}"):
        adapt_core.load_run(toy_config()["output_dir"])


@pytest.mark.usefixtures("no_reload")
def test_an_adapter_that_was_changed_or_lost_is_not_loaded(toy_config: Any, tmp_path: Path) -> None:
    result = adapt_core.run(toy_config(training=QUICK))
    run = Path(toy_config()["output_dir"])
    weights, settings = run / "model" / "adapter_model.safetensors", run / "model" / "adapter_config.json"
    assert result["sha256"][weights.name] == hashlib.sha256(weights.read_bytes()).hexdigest()
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


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize("content", ["{}", "", None])
def test_a_run_whose_data_json_was_changed_or_lost_is_not_loaded(toy_config: Any, content: str | None) -> None:
    adapt_core.run(toy_config(training=QUICK))
    run = Path(toy_config()["output_dir"])
    whole = adapt_core.load_run(run)
    file = run / "data.json"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    for load in (adapt_core.load_run, whole.add):
        with pytest.raises(AdaptError, match=r"data\.json( was changed after the run saved it)?"):
            load(run)


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize(
    ("old", "new", "refused"), [("alpha: 16", "alpha: 64", True), ("batch_size: 64", "batch_size: 8", False)]
)
def test_a_run_whose_method_was_changed_afterwards_is_not_loaded(
    toy_config: Any, old: str, new: str, refused: bool
) -> None:
    adapt_core.run(toy_config(training={**QUICK, "batch_size": 64}))
    file = Path(toy_config()["output_dir"], "config.yaml")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(AdaptError, match=r"config\.yaml was changed after") if refused else nullcontext():
        adapt_core.load_run(file.parent)


def test_the_order_of_keys_is_no_other_configuration() -> None:
    """Keys may be numbers, too: the names of labels."""
    first = choices_sha256({"task": {"name": "a", "labels": {0: "b", "c": "d"}}, "seed": 1})
    assert first == choices_sha256({"seed": 2, "task": {"labels": {"c": "d", 0: "b"}, "name": "a"}})
    assert first != choices_sha256({"task": {"name": "a", "labels": {0: "b", "c": "e"}}})


@pytest.mark.usefixtures("no_reload")
def test_an_adapter_is_not_put_on_a_base_of_another_architecture(toy_config: Any, without_biases: Any) -> None:
    adapt_core.run(toy_config(training=QUICK))
    run = Path(toy_config()["output_dir"])
    file = run / "config.yaml"
    other = without_biases("llama")["model"]["path"]
    file.write_text(file.read_text().replace(toy_config()["model"]["path"], other))
    with pytest.raises(AdaptError, match=r"The base model .*llama is not the one with which the run in .*run began"):
        adapt_core.load_run(run)
