"""``adapt merge``: one ordinary model, checked against the adapter's outputs, the run untouched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cli_runner import adapt

import adapt_core
from adapt_core.errors import AdaptError, UsageError

pytestmark = pytest.mark.usefixtures("no_reload")
QUICK = {"max_steps": 4, "lr": 0.05}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("method", ["lora", "dora", "ssf", "vera", "adalora"])
def test_the_merged_model_answers_as_the_adapter_did(toy_config: Any, method: str) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    options = {"tinit": 0, "tfinal": 1} if method == "adalora" else {}
    config = toy_config(method={"name": method, **options}, training=QUICK)
    adapt_core.run(config)
    run = Path(config["output_dir"])
    before = contents(run)
    found = adapt("merge", str(run), "--json").json
    assert found["output"] == f"{run}-merged"
    assert 0 <= found["difference"] <= found["tolerance"] * max(found["largest_output"], 1)
    assert contents(run) == before

    loaded = adapt_core.load_run(run)
    inputs = {"input_ids": torch.tensor([[5, 60, 70, 8]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}
    plain = AutoModelForSequenceClassification.from_pretrained(found["output"]).eval()
    names = {type(layer).__module__.partition(".")[0] for layer in plain.modules()}
    assert not names & {"peft", "adapt_core"}
    with torch.no_grad():
        assert torch.allclose(plain(**inputs).logits, loaded.model.module(**inputs).logits, atol=1e-5)


def test_a_model_without_biases_is_merged_with_those_that_it_gets(without_biases: Any) -> None:
    from transformers import AutoModelForSequenceClassification

    config = without_biases("llama", method={"name": "ssf", "target_modules": ["q_proj", "down_proj"]}, training=QUICK)
    adapt_core.run(config)
    found = adapt_core.merge_run(config["output_dir"])
    assert found["difference"] < 1e-5
    plain = AutoModelForSequenceClassification.from_pretrained(found["output"])
    layer = plain.model.layers[0]
    assert plain.config.attention_bias and plain.config.mlp_bias
    assert layer.self_attn.q_proj.bias.abs().max() > 0 and layer.mlp.down_proj.bias.abs().max() > 0
    assert not layer.self_attn.v_proj.bias.any() and not layer.mlp.up_proj.bias.any()


@pytest.mark.parametrize("export", ["none", "safetensors"])
def test_a_class_that_cannot_have_them_is_not_merged(without_biases: Any, export: str) -> None:
    config = without_biases("qwen2", method="ssf", training=QUICK, save=export)
    exported = adapt_core.run(config)["export"]
    reason = r"its architecture lacks, model.layers.0.self_attn.o_proj.bias among them"
    with pytest.raises(AdaptError, match=rf"{reason}.*\nUse the adapter beside its base") as raised:
        adapt_core.merge_run(config["output_dir"])
    assert "save.name" not in str(raised.value), "it has been trained already"
    if exported:
        assert str(raised.value).endswith(str(Path(config["output_dir"]) / exported))
    assert not Path(config["output_dir"] + "-merged").exists()


def test_paths_are_those_that_they_mean(toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = toy_config(training=QUICK)
    adapt_core.run(config)
    run = Path(config["output_dir"])
    before = contents(run)
    merged = run.with_name(f"{run.name}-merged")
    for place, argument in ((run, "."), (run / "model", "..")):
        monkeypatch.chdir(place)
        assert adapt("merge", argument, "--json").json["output"] == str(merged)
        assert (merged / "config.json").is_file()
        shutil.rmtree(merged)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for output, reason in (
        (run / "merged", "lies in the run's own folder"),
        (run / "model" / ".." / "merged", "lies in the run's own folder"),
        (tmp_path / "file" / "below", "below cannot be written: .*Not a directory"),
        ("file", "exists and is not empty"),
    ):
        with pytest.raises(UsageError, match=rf"{reason}.*\nName another folder with --output"):
            adapt_core.merge_run(run, output)
    assert contents(run) == before
    assert adapt_core.merge_run(run, "there")["output"] == str(tmp_path / "there")


def test_for_people_it_says_how_much_outputs_differ(toy_config: Any, tmp_path: Path) -> None:
    config = toy_config(training=QUICK)
    adapt_core.run(config)
    text = adapt("merge", config["output_dir"], "-o", str(tmp_path / "there")).out
    assert "largest difference of outputs" in text
    assert (tmp_path / "there" / "config.json").is_file()
    with pytest.raises(UsageError, match="exists and is not empty"):
        adapt_core.merge_run(config["output_dir"], tmp_path / "there")


def test_there_is_nothing_to_merge_in_a_whole_model(toy_config: Any) -> None:
    config = toy_config(method="full", training=QUICK)
    adapt_core.run(config)
    with pytest.raises(UsageError, match=r"nothing to merge: .* holds the whole model"):
        adapt_core.merge_run(config["output_dir"])


def test_a_merge_that_changes_outputs_is_refused_and_leaves_nothing(
    toy_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = toy_config(training=QUICK)
    adapt_core.run(config)
    monkeypatch.setattr("adapt_core.methods.lora.method.Lora.merge", lambda _, module: module.unload())
    with pytest.raises(AdaptError, match="Merging changes outputs by up to"):
        adapt_core.merge_run(config["output_dir"])
    assert not Path(config["output_dir"] + "-merged").exists()


def test_a_method_that_cannot_be_merged_needs_no_export_and_is_refused_one(toy_config: Any) -> None:
    config = toy_config(method="prompt_tuning", training=QUICK)
    del config["save"]
    result = adapt_core.run(config)
    assert result["export"] is None and result["artifact"] == "model"
    with pytest.raises(UsageError, match="prompt_tuning cannot be merged"):
        adapt_core.merge_run(config["output_dir"])
    found = adapt("check", str(Path(config["output_dir"]) / "config.yaml"), "save=state_dict", "--json").json
    assert "which the method prompt_tuning cannot do" in json.dumps(found["problems"])
