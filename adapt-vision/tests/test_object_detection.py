"""Object detection from COCO's JSON to a used model, with tiny models built on the spot."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import detector_families
import pytest
import torch
from annotated_contract import METHODS, AnnotatedContract, planned, runner
from by_heart import learned
from PIL import Image

import adapt_core
from adapt_core.errors import AdaptError, ConfigError


class TestDetectionContract(AnnotatedContract):
    section, models = "detection", "detectors"
    cases = tuple(product(("rt_detr", "yolos", "detr"), METHODS))

    @staticmethod
    def not_merged(model: str, method: str) -> bool:
        """The convolutions of the others have no bias, and their class no switch for one."""
        return method == "ssf" and model != "yolos"


@pytest.fixture
def detect(detection: dict[str, Any], tmp_path: Path, no_reload: None) -> Callable[..., dict[str, Any]]:
    """Runs two steps of a changed configuration, without the process that loads what was saved."""
    return runner(detection, tmp_path)


# ---- learning -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_learns_what_there_is_to_learn(
    detection: dict[str, Any], objects: Path, tmp_path: Path, no_reload: None
) -> None:
    made = {
        **detection,
        "dataset": {"path": str(objects), "train_ann_file": "train.json", "val_ann_file": "val.json"},
        "training": {**detection["training"], "max_steps": 200, "lr": 2e-3, "batch_size": 8},
    }
    found, run = learned(made, tmp_path, 0.9)
    assert found["ap50"] > 0.9
    page = (run / "report.html").read_text()
    for part in ("Average precision by class", "Annotated (left) and found (right)", "data:image/jpeg", "red"):
        assert part in page


def test_the_loss_is_that_of_transformers_on_the_same_batch(
    detection: dict[str, Any], detectors: dict[str, Any], objects: Path, tmp_path: Path
) -> None:
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    from adapt_core.plan.build import build_plan

    task = build_plan({**detection, "model": detectors["detr"], "output_dir": str(tmp_path / "x")}).make_task()
    data = task.load_data()
    model = task.load_model(data.info)
    inputs = task.engine_inputs(data, model)
    batch = inputs.collate([inputs.evaluation[row] for row in range(4)])

    content = json.loads((objects / "annotations" / "val.json").read_text())
    images = [Image.open(objects / "val" / each["file_name"]) for each in content["images"]]
    annotations = [
        {
            "image_id": each["id"],
            "annotations": [
                {**one, "category_id": {3: 0, 7: 1}[one["category_id"]]}
                for one in content["annotations"]
                if one["image_id"] == each["id"]
            ],
        }
        for each in content["images"]
    ]
    path = detectors["detr"]["path"]
    expected = AutoImageProcessor.from_pretrained(path)(images=images, annotations=annotations, return_tensors="pt")
    assert torch.equal(batch["pixel_values"], expected["pixel_values"])
    other = AutoModelForObjectDetection.from_pretrained(path, num_labels=2, ignore_mismatched_sizes=True).eval()
    other.load_state_dict(model.module.state_dict())
    model.module.eval()
    with torch.no_grad():
        loss = inputs.step(model.module, batch)["loss"]
        assert float(loss) == pytest.approx(float(other(**expected).loss), rel=1e-5)
    assert inputs.items(batch) == len(content["annotations"])


def test_boxes_that_are_no_numbers_end_the_run_by_a_message(detect: Any) -> None:
    with pytest.raises(AdaptError, match="no numbers any more"):
        detect(training={"lr": 1e9, "max_steps": 20, "max_grad_norm": 0, "batch_size": 1})


def test_images_that_do_not_fit_the_model_end_the_run_by_a_message(
    detect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(detector_families.WIDTHS, "num_queries", 60)  # of 32 × 32 pixels there are 16 + 4 + 1 places
    model = {"path": str(detector_families.build("rt_detr", tmp_path / "model"))}
    for size, message in (
        (32, "its 60 queries from places in its feature maps"),
        (48, "do not fit each other for images"),
    ):
        with pytest.raises(AdaptError, match=message):
            detect(model=model, task={"image_size": size})


# ---- parameters -----------------------------------------------------------------------------------------------


def test_the_flat_names_of_the_tables_mean_the_same(detectors: dict[str, Any], objects: Path) -> None:
    from adapt_core.plan.build import build_plan

    plan = build_plan(
        {
            "TASK": "object_detection",
            "CUSTOM_DATASET_PATH": str(objects),
            "LOCAL_MODEL_PATH": detectors["yolos"]["path"],
            "FULL_FINE_TUNING": True,
            "train_ann_file": "val.json",
            "val_ann_file": "train.json",
        }
    )
    train, evaluation = (plan.make_task().load_data().info["rows"][each] for each in ("train", "validation"))
    assert (train, evaluation) == (4, 8)


def test_the_image_size_is_that_of_the_model_s_input(
    detection: dict[str, Any], detectors: dict[str, Any], tmp_path: Path
) -> None:
    for name, size, shape in (("rt_detr", None, (64, 64)), ("rt_detr", 96, (96, 96)), ("detr", 32, (32, 42))):
        task = planned(detection, tmp_path, task={"image_size": size}, model=detectors[name])
        processor = task.load_processor({})
        batch = task.library.batch(processor, [Image.new("RGB", (80, 60))], [[]])
        assert tuple(batch["pixel_values"].shape[-2:]) == shape


def test_augmentation_changes_training_images_alone(detection: dict[str, Any], tmp_path: Path) -> None:
    for name, equal in (("none", True), ("light", False), ("standard", False)):
        task = planned(detection, tmp_path, task={"augmentation": name})
        data = task.load_data()
        inputs = task.engine_inputs(data, task.load_model(data.info))
        same = [inputs.train[row][1].tobytes() == Image.open(data.train.images[row]).tobytes() for row in range(8)]
        assert all(same) if equal else not all(same)
        assert all(
            inputs.evaluation[row][1].tobytes() == Image.open(data.evaluation.images[row]).tobytes() for row in range(4)
        )


def test_fewer_images_are_drawn_and_a_share_is_held_out(
    detection: dict[str, Any], objects: Path, tmp_path: Path
) -> None:
    task = planned(detection, tmp_path, dataset={"max_train_samples": 5, "max_eval_samples": 2})
    assert task.load_data().info["rows"] == {"train": 5, "validation": 2}
    file = str(objects / "annotations" / "train.json")
    held = planned(
        detection, tmp_path, dataset={"path": file, "validation_share": 0.25, "image_root": str(objects / "train")}
    )
    data = held.load_data()
    assert data.info["rows"] == {"train": 6, "validation": 2}
    assert not set(data.train.images) & set(data.evaluation.images)


def test_a_threshold_leaves_boxes_out(detect: Any, objects: Path, tmp_path: Path) -> None:
    detect()
    run = adapt_core.load_run(tmp_path / "run")
    path = str(objects / "val" / "val0.png")
    (everything,) = run.predict([path], threshold=0.0)
    scores = [each["score"] for each in everything["objects"]]
    assert scores == sorted(scores, reverse=True) and len(scores) == 20
    middle = (scores[9] + scores[10]) / 2
    assert [each["score"] for each in run.predict([path], threshold=middle)[0]["objects"]] == scores[:10]


def test_a_hub_data_set_and_files_named_twice_are_refused(detection: dict[str, Any], tmp_path: Path) -> None:
    for dataset, code in (
        ({"path": None, "name": "owner/name"}, "annotated images are read from a folder"),
        ({"train_ann_file": "a.json", "val_ann_file": "a.json"}, "must differ"),
    ):
        with pytest.raises(ConfigError, match=code):
            planned(detection, tmp_path, dataset=dataset)


def test_an_adapter_on_a_head_at_two_places_is_refused(detection: dict[str, Any], tmp_path: Path) -> None:
    from transformers import AutoModelForObjectDetection, DeformableDetrConfig, DetrImageProcessor, ResNetConfig

    settings = DeformableDetrConfig(
        backbone_config=ResNetConfig(
            hidden_sizes=[16, 16, 32, 32],
            depths=[1] * 4,
            embedding_size=16,
            layer_type="basic",
            out_features=["stage4"],
        ),
        use_timm_backbone=False,
        num_feature_levels=1,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        num_queries=5,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        with_box_refine=True,
    )
    AutoModelForObjectDetection.from_config(settings).save_pretrained(tmp_path / "model")
    DetrImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path / "model")
    model = {"path": str(tmp_path / "model")}
    task = planned(detection, tmp_path, model=model, method={"name": "lora"})
    with pytest.raises(AdaptError, match="head at two places"):
        task.load_model({"label_names": ["a", "b"]})
    planned(detection, tmp_path, model=model).load_model({"label_names": ["a", "b"]})


# ---- use ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "method"), [("yolos", "lora"), ("rt_detr", "full")])
def test_the_readme_s_code_predicts_the_same_without_adapt(
    method: str, model: str, detection: dict[str, Any], detectors: dict[str, Any], objects: Path, tmp_path: Path
) -> None:
    made = {**detection, "model": detectors[model], "method": METHODS[method], "output_dir": str(tmp_path / "run")}
    adapt_core.run(made)
    paths = [str(objects / "val" / f"val{number}.png") for number in range(2)]
    threshold = 0.0
    expected = adapt_core.load_run(tmp_path / "run").predict(paths, threshold=threshold)
    folder = tmp_path / "run" / "model"
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), flags=re.DOTALL)
    assert "adapt" not in code.replace("adapter", "")
    code = code.replace("threshold=0.5", f"threshold={threshold}")
    done = subprocess.run([sys.executable, "-c", code, *paths], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = sorted(line.split() for line in done.stdout.splitlines())
    ours = sorted(
        [each["image"], one["label"], str(one["score"]), *map(str, one["bbox"])]
        for each in expected
        for one in each["objects"]
    )
    assert len(lines) == len(ours) > 0
    for one, other in zip(lines, ours, strict=True):
        assert one[:2] == other[:2]
        assert [float(x) for x in one[2:]] == pytest.approx([float(x) for x in other[2:]], abs=1e-3)


def test_adapt_predict_eval_and_data_work_on_the_command_line(
    detect: Any,
    detection: dict[str, Any],
    adapt: Any,
    objects: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = detect()
    capsys.readouterr()
    run = str(tmp_path / "run")
    assert set(result["by_class"]) == {"red", "green"} and not set(result["by_class"]) & set(result["metrics"])
    assert json.loads((tmp_path / "run" / "result.json").read_text())["by_class"] == result["by_class"]
    assert adapt("eval", run)["by_class"] == result["by_class"]
    found = adapt("predict", run, "--data", str(objects / "val"), "-O", "threshold=0")
    assert [set(each) for each in found] == [{"image", "objects"}] * 4
    assert adapt("eval", run, "--data", str(objects), "--split", "train")["rows"] == 8
    (tmp_path / "config.json").write_text(json.dumps({**detection, "output_dir": str(tmp_path / "never")}))
    assert adapt("data", str(tmp_path / "config.json"))
    train, validation = adapt_core.inspect_data({**detection, "output_dir": str(tmp_path / "never")}, examples=3)
    assert (len(train.keys), len(validation.keys)) == (8, 4)
    content = json.loads((objects / "annotations" / "train.json").read_text())
    assert sum(train.labels.values()) == len(content["annotations"])
    assert len(train.examples[0].rows) == 3


def test_changed_data_and_odd_inputs_are_refused(
    detect: Any, detection: dict[str, Any], objects: Path, tmp_path: Path
) -> None:
    import shutil

    folder = shutil.copytree(objects, tmp_path / "data")
    detect(dataset={"path": str(folder)})
    run = adapt_core.load_run(tmp_path / "run")
    with pytest.raises(AdaptError, match=r"no split 'test'"):
        run.task.load_split(None, "test", run.info)
    with pytest.raises(AdaptError, match="There is no file or folder"):
        run.predict([str(tmp_path / "nix.png")])
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(AdaptError, match=r"a.png cannot be read"):
        run.predict([str(tmp_path / "a.png")])
    with pytest.raises(AdaptError, match=r"Two of the images are called val0"):
        run.predict([str(folder / "val" / "val0.png")] * 2, drawn=str(tmp_path / "drawn"))
    content = json.loads((folder / "annotations" / "train.json").read_text())
    content["annotations"][0]["bbox"][2] -= 1
    (folder / "annotations" / "train.json").write_text(json.dumps(content))
    with pytest.raises(AdaptError, match="its fingerprint differs"):
        adapt_core.evaluate_run(tmp_path / "run")
