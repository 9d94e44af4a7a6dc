"""Every family of detectors that transformers trains: a step, saved, and loaded without Adapt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import detector_families
import pytest
import torch
from PIL import Image

import adapt_core


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


@pytest.mark.parametrize("family", ["rt_detr_v2", "d_fine", "deimv2"])
def test_an_adapter_on_a_head_with_two_names_is_in_peft_s_format(
    family: str, detection: dict[str, Any], objects: Path, tmp_path: Path, no_reload: None
) -> None:
    """These families read their head by its name in the decoder alone: it is trained there, and the rest stays."""
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
    assert adapt_core.merge_run(tmp_path / "run", tmp_path / "merged")["difference"] <= 1e-3
