"""What a run leaves: every format loads again, and what is not what was trained fails the run.

It is loaded in this process, but where the new one is what a test is about: that takes many times as long.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.methods.full.method import Full
from adapt_core.savers.state_dict import StateDict

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


@pytest.mark.usefixtures("reload_here")
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
    else:  # an adapter is in PEFT's format beside whatever export; with config.json it would be taken for a whole model
        assert json.loads((run / "model" / "adapter_config.json").read_text())["peft_type"] == "LORA"
        assert (run / "model" / "adapter_model.safetensors").is_file()
        assert not (run / "model" / "config.json").exists()
    # The verification has loaded both again and compared them on real rows.
    assert result["reload_difference"]["model"] == 0.0
    assert 0 <= result["reload_difference"]["export"] < 1e-5


@pytest.mark.usefixtures("reload_here")
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


@pytest.mark.usefixtures("reload_here")
@pytest.mark.parametrize("do_eval", [True, False])
def test_mixed_precision_is_taken_off_the_model_before_it_is_saved(toy_config: Any, do_eval: bool) -> None:
    """Accelerate leaves it on; what is loaded again would differ."""
    training = {**QUICK, "bf16": True, "do_eval": do_eval}
    result = adapt_core.run(toy_config(training=training, save="full_torch_model"))
    assert result["reload_difference"]["model"] == 0.0


@pytest.mark.usefixtures("reload_here")
def test_what_was_not_saved_right_fails_the_run_with_the_numbers(
    toy_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = StateDict.save

    def damaged(self: Any, model: Any, folder: Path, task: Any) -> Path:
        path = original(self, model, folder, task)
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

    def truncated(self: Any, model: Any, folder: Path, task: Any) -> Path:
        path = original(self, model, folder, task)
        path.write_bytes(path.read_bytes()[:200])
        return path

    monkeypatch.setattr(StateDict, "save", truncated)
    with pytest.raises(AdaptError, match="cannot be loaded again"):
        adapt_core.run(toy_config(save="state_dict", training=QUICK))


def test_the_run_folder_holds_what_it_promises(
    toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a new process finds in it what was trained, started where there are modules that are none of its business."""
    (tmp_path / "numpy.py").write_text("raise RuntimeError('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    result = adapt_core.run(toy_config(save="state_dict", training=QUICK))
    assert result["reload_difference"]["model"] == 0.0
    assert 0 <= result["reload_difference"]["export"] < 1e-5
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


@pytest.mark.usefixtures("reload_here")
def test_a_run_that_fails_before_training_leaves_its_folder_free(toy_config: Any) -> None:
    with pytest.raises(AdaptError, match="matches no layer"):
        adapt_core.run(toy_config(method={"name": "lora", "target_modules": ["nothing"]}))
    adapt_core.run(toy_config(training=QUICK))  # in the same folder, at once
