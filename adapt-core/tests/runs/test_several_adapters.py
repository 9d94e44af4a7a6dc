"""Several runs' adapters on one base: each answers as it does alone, and the base is loaded once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_runs import INPUTS, finished, outputs

import adapt_core
from adapt_core import AdaptError

pytestmark = pytest.mark.usefixtures("no_reload")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"name": "lora", "r": 2}, {"name": "lora", "r": 4, "target_modules": "attention"}),
        ({"name": "lora"}, {"name": "dora"}),
        ({"name": "lora", "init_lora_weights": "eva"}, {"name": "lora", "init_lora_weights": "pissa"}),
        ({"name": "ssf"}, {"name": "ssf", "operations": ["layer_norm"]}),
        ({"name": "ssf"}, {"name": "bitfit"}),
        ({"name": "prompt_tuning", "num_virtual_tokens": 3}, {"name": "prompt_tuning", "num_virtual_tokens": 2}),
        ({"name": "adalora", "tinit": 1, "tfinal": 1}, {"name": "adalora", "tinit": 2, "tfinal": 1}),
        ({"name": "ia3"}, {"name": "ia3", "target_modules": ["query"], "feedforward_modules": []}),
        ({"name": "lora"}, {"name": "lora", "trainable_token_indices": [60, 70, 92]}),
        (
            {"name": "trainable_tokens", "token_indices": [60, 70]},
            {"name": "trainable_tokens", "token_indices": [4, 70]},
        ),
        (
            {"name": "lora", "target_modules": ["query"], "modules_to_save": ["pooler"]},
            {"name": "lora", "target_modules": ["key"], "modules_to_save": ["intermediate"]},
        ),
    ],
    ids=lambda method: method["name"],
)
def test_each_answers_as_it_does_alone(
    toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: Any, second: Any
) -> None:
    folders = [
        finished(toy_config, tmp_path / "first", method=first, seed=1),
        finished(toy_config, tmp_path / "second", method=second, seed=2),
    ]
    alone = [outputs(adapt_core.load_run(folder)) for folder in folders]
    assert np.abs(alone[0] - alone[1]).max() > 1e-3

    run = adapt_core.load_run(folders[0])
    with monkeypatch.context() as patch:
        patch.setattr("toy_task.Toy.load_model", None)  # the base is there already
        other = run.add(folders[1])
    assert other.model.module is run.model.module
    for _ in range(2):  # there and back
        assert outputs(run) == pytest.approx(alone[0], abs=1e-6)
        assert outputs(other) == pytest.approx(alone[1], abs=1e-6)
    expected = [adapt_core.load_run(folder).predict(INPUTS) for folder in folders]
    assert [other.predict(INPUTS), run.predict(INPUTS)] == expected[::-1]
    assert not any(each.requires_grad for each in run.model.module.parameters())


def test_three_and_an_evaluation_of_each(toy_config: Any, tmp_path: Path) -> None:
    from adapt_core.runs.evaluation import evaluate_loaded

    folders = [finished(toy_config, tmp_path / str(seed), seed=seed) for seed in (1, 2, 3)]
    expected = [adapt_core.evaluate_run(folder)["metrics"]["loss"] for folder in folders]
    runs = [adapt_core.load_run(folders[0])]
    runs += [runs[0].add(folders[1])]
    runs += [runs[1].add(folders[2])]
    found = [evaluate_loaded(run, None, None)["metrics"]["loss"] for run in runs]
    assert found == pytest.approx(expected, rel=1e-6)


def test_runs_that_share_no_base_are_refused(toy_config: Any, toy: dict[str, Any], tmp_path: Path) -> None:
    import shutil

    run = adapt_core.load_run(finished(toy_config, tmp_path / "lora"))
    before = outputs(run)
    copied = tmp_path / "another-model"
    shutil.copytree(toy["model"]["path"], copied)
    elsewhere = finished(toy_config, tmp_path / "elsewhere", model={"path": str(copied)})
    with pytest.raises(AdaptError, match=f"elsewhere has another base model: {copied}, and the loaded run has"):
        run.add(elsewhere)
    with pytest.raises(AdaptError, match=r"of PEFT's type SSF, and the loaded one is of type .*LORA"):
        run.add(finished(toy_config, tmp_path / "ssf", method="ssf"))
    with pytest.raises(AdaptError, match="The method full saves a whole model"):
        run.add(finished(toy_config, tmp_path / "full", method="full"))
    with pytest.raises(AdaptError, match="no run"):
        run.add(tmp_path / "nothing")
    assert np.array_equal(outputs(run), before)


def test_a_head_with_other_labels_is_refused(toy_config: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    run = adapt_core.load_run(finished(toy_config, tmp_path / "two"))
    before = outputs(run)
    three = finished(toy_config, tmp_path / "three", seed=2)
    file = three / "model" / "adapter_model.safetensors"
    tensors = load_file(file)
    for name, each in tensors.items():
        if "classifier" in name:
            tensors[name] = each[[0, 1, 1]].contiguous()
    save_file(tensors, file)
    result = json.loads((three / "result.json").read_text())
    result["sha256"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    (three / "result.json").write_text(json.dumps(result))
    with pytest.raises(AdaptError, match="does not fit beside the loaded adapter, whose head may have other labels"):
        run.add(three)
    assert np.array_equal(outputs(run), before)
