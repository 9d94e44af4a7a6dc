"""Every family of detectors that transformers trains: a step, saved, and loaded without Adapt."""

from __future__ import annotations

import json
import re
import sys
from itertools import product
from pathlib import Path
from typing import Any

import detector_families
import pytest
import torch
from annotated_contract import METHODS
from PIL import Image

import adapt_core
from adapt_core.errors import AdaptError


@pytest.mark.parametrize("family", detector_families.FAMILIES)
def test_a_detector_of_the_family_trains_and_is_saved(
    family: str, detection: dict[str, Any], objects: Path, tmp_path: Path, no_reload: None
) -> None:
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    path = detector_families.build(family, tmp_path / "model")
    made = {
        **detection,
        "model": {"path": str(path)},
        "training": {**detection["training"], "max_steps": 1, "do_eval": False},
        "output_dir": str(tmp_path / "run"),
    }
    adapt_core.run(made)
    run = adapt_core.load_run(tmp_path / "run")
    image = str(objects / "val" / "val0.png")
    (ours,) = run.task.outputs(run.model, [{"image": image}], run.info)
    folder = tmp_path / "run" / "model"
    model = AutoModelForObjectDetection.from_pretrained(folder).eval()
    before = AutoModelForObjectDetection.from_pretrained(path, num_labels=2, ignore_mismatched_sizes=True)
    assert model.config.id2label == {0: "red", 1: "green"}
    assert any(not torch.equal(one, other) for one, other in zip(model.parameters(), before.parameters(), strict=True))
    inputs = AutoImageProcessor.from_pretrained(folder)(images=Image.open(image), return_tensors="pt")
    with torch.no_grad():
        outputs = model(inputs["pixel_values"])
    assert torch.allclose(torch.from_numpy(ours), torch.cat([outputs.logits, outputs.pred_boxes], -1)[0], atol=1e-5)
    (found,) = run.predict([image], threshold=0.0)
    assert {each["label"] for each in found["objects"]} <= {"red", "green"} and found["objects"]


@pytest.mark.parametrize(
    ("family", "method"),
    [
        *product(detector_families.FAMILIES, ("lora", "last_layer")),
        *product(["deformable_detr"], ("dora", "ssf", "bitfit", "ia3", "ln_tuning")),
    ],
)
def test_a_part_of_the_family_s_weights_is_trained_reloaded_and_measured(
    family: str, method: str, detection: dict[str, Any], tmp_path: Path, no_reload: None
) -> None:
    zeros = method != "dora"  # which cannot adapt them: deformable attention begins with such
    made = {
        **detection,
        "model": {"path": str(detector_families.build(family, tmp_path / "model", zeros=zeros))},
        "method": METHODS[method],
        "training": {**detection["training"], "max_steps": 1, "lr": 1e-2},
        "output_dir": str(tmp_path / "run"),
    }
    if method == "lora" and family in ("lw_detr", "rf_detr"):
        with pytest.raises(AdaptError, match="has heads whose names end alike"):
            adapt_core.run(made)
        return
    result = adapt_core.run(made)
    assert 0 < result["parameters"]["trainable"] < result["parameters"]["total"]
    again = adapt_core.evaluate_run(tmp_path / "run")["metrics"]
    assert {"ap", "ap50", "ar_100"} <= set(again)
    assert {name: result["metrics"][name] for name in again} == pytest.approx(again, abs=1e-4)


@pytest.mark.parametrize(
    ("family", "train_head"),
    [
        ("deformable_detr", None),
        *((family, False) for family in ("deformable_detr", "rt_detr_v2", "lw_detr", "rf_detr")),
    ],
)
def test_heads_of_several_names_are_merged_as_they_were_used(
    family: str, train_head: bool | None, detection: dict[str, Any], objects: Path, tmp_path: Path, no_reload: None
) -> None:
    """Trained, each layer of Deformable DETR gets a head of its own; untrained, all stay what they were."""
    from transformers import AutoModelForObjectDetection

    path = detector_families.build(family, tmp_path / "model", labels=2)
    config = json.loads((path / "config.json").read_text())
    config |= {"id2label": {"0": "red", "1": "green"}, "label2id": {"red": 0, "green": 1}}
    (path / "config.json").write_text(json.dumps(config))
    made = {
        **detection,
        "model": {"path": str(path)},
        "method": {**METHODS["lora"], **({} if train_head is None else {"train_head": train_head})},
        "training": {**detection["training"], "lr": 1e-2, "do_eval": False},
        "output_dir": str(tmp_path / "run"),
    }
    adapt_core.run(made)
    assert adapt_core.merge_run(tmp_path / "run", tmp_path / "merged")["difference"] <= 1e-5
    if family == "deformable_detr":
        merged = AutoModelForObjectDetection.from_pretrained(tmp_path / "merged")
        first, last = (merged.get_parameter(f"class_embed.{layer}.weight") for layer in (0, 1))
        assert torch.equal(first, last) == (train_head is False)


@pytest.mark.parametrize("family", ["rt_detr_v2", "d_fine", "deimv2", "deformable_detr"])
def test_an_adapter_on_a_head_with_several_names_is_in_peft_s_format(
    family: str,
    detection: dict[str, Any],
    objects: Path,
    tmp_path: Path,
    no_reload: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Some read their head by its name in the decoder alone: it is trained there, and the rest stays."""
    from peft import PeftModel
    from transformers import AutoModelForObjectDetection, set_seed

    path = detector_families.build(family, tmp_path / "model", labels=2)
    made = {
        **detection,
        "model": {"path": str(path)},
        "method": {"name": "lora", "r": 2, "target_modules": "all-linear"},
        "training": {**detection["training"], "lr": 1e-2, "do_eval": False},
        "output_dir": str(tmp_path / "run"),
    }
    adapt_core.run(made)
    run = adapt_core.load_run(tmp_path / "run")
    image = str(objects / "val" / "val0.png")
    (ours,) = run.task.outputs(run.model, [{"image": image}], run.info)
    set_seed(1)
    base = AutoModelForObjectDetection.from_pretrained(path, num_labels=2)
    base.config.tie_word_embeddings = False
    inputs = run.model.processor(images=Image.open(image), return_tensors="pt")
    with torch.no_grad():
        before = base.eval()(inputs["pixel_values"])
        outputs = PeftModel.from_pretrained(base, tmp_path / "run" / "model").eval()(
            pixel_values=inputs["pixel_values"]
        )
    assert torch.allclose(torch.from_numpy(ours), torch.cat([outputs.logits, outputs.pred_boxes], -1)[0], atol=1e-5)
    assert not torch.allclose(outputs.logits, before.logits, atol=1e-3)
    (expected,) = run.predict([image], threshold=0.0)
    folder = tmp_path / "run" / "model"
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), flags=re.DOTALL)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["detect.py", image])
    capsys.readouterr()
    exec(compile(code.replace("threshold=0.5", "threshold=0.0"), "README.md", "exec"), {})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == len(expected["objects"]) > 0
    for line, each in zip(lines, expected["objects"], strict=True):
        assert line[:2] == [image, each["label"]]
        assert [float(value) for value in line[2:]] == pytest.approx([each["score"], *each["bbox"]], abs=1e-3)
    assert adapt_core.merge_run(tmp_path / "run", tmp_path / "merged")["difference"] <= 1e-3
