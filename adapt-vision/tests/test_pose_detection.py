"""Pose detection from COCO's JSON to a used model, with tiny models built on the spot."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import annotated_contract
import numpy as np
import pytest
import torch
from annotated_contract import AnnotatedContract, planned, runner
from PIL import Image

import adapt_core
from adapt_core.errors import AdaptError

METHODS: dict[str, dict[str, Any]] = {
    **annotated_contract.METHODS,
    "ia3": {"name": "ia3"},
    "vera": {"name": "vera", "r": 16},
    "oft": {"name": "oft", "oft_block_size": 8},
    "bottleneck": {"name": "bottleneck"},
}
OTHER_MODELS = ("full", "last_layer", "lora", "ssf", "ia3")


class TestPoseContract(AnnotatedContract):
    section, models, data, methods, measure = "pose", "estimators", "poses", METHODS, "pck"
    reported = ("pck", "ap", "ap50", "loss")
    cases = (*product(("simple",), METHODS), *product(("classic", "plus"), OTHER_MODELS))

    def check_found(self, found: Sequence[Mapping[str, Any]]) -> None:
        for one in (one for each in found for one in each["objects"]):
            assert len(one["keypoints"]) == 3 * 4 and one["category_id"] == 5


@pytest.fixture
def estimate(pose: dict[str, Any], tmp_path: Path, no_reload: None) -> Callable[..., dict[str, Any]]:
    """Runs two steps of a changed configuration, without the process that loads what was saved."""
    return runner(pose, tmp_path)


# ---- learning -------------------------------------------------------------------------------------------------


@pytest.mark.e2e
def test_it_learns_sixteen_mice_by_heart(test_data: Path, tmp_path: Path, no_reload: None) -> None:
    from transformers import (
        VitPoseBackboneConfig,
        VitPoseConfig,
        VitPoseForPoseEstimation,
        VitPoseImageProcessor,
        set_seed,
    )

    source, folder, model = test_data / "pose" / "openfield_mouse", tmp_path / "data", tmp_path / "model"
    (folder / "annotations").mkdir(parents=True)
    for split, count in (("train", 16), ("val", 4)):
        content = json.loads((source / "annotations" / f"{split}.json").read_text())
        content["images"] = content["images"][:: len(content["images"]) // count][:count]
        kept = {each["id"] for each in content["images"]}
        content["annotations"] = [each for each in content["annotations"] if each["image_id"] in kept]
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))
        (folder / split).symlink_to(source / split)
    backbone = VitPoseBackboneConfig(
        image_size=[64, 64],
        patch_size=[8, 8],
        hidden_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        mlp_ratio=2,
        out_indices=[2],
    )
    set_seed(0)
    VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=17)).save_pretrained(model)
    VitPoseImageProcessor(size={"height": 64, "width": 64}).save_pretrained(model)
    adapt_core.run(
        {
            "task": {"name": "pose_detection", "augmentation": "none"},
            "model": {"path": str(model)},
            "dataset": {"path": str(folder)},
            "method": {"name": "full"},
            "training": {
                "lr": 2e-3,
                "scheduler": "cosine",
                "warmup_steps": 0.05,
                "max_steps": 300,
                "interval": "steps",
                "interval_steps": 300,
                "batch_size": 16,
                "num_workers": 0,
            },
            "save": "none",
            "output_dir": str(tmp_path / "run"),
        }
    )
    assert adapt_core.evaluate_run(tmp_path / "run", split="train")["metrics"]["pck"] > 0.95
    info = adapt_core.load_run(tmp_path / "run").info
    assert info["keypoints"]["flip_pairs"] == [[1, 2]]  # leftear and rightear
    page = (tmp_path / "run" / "report.html").read_text()
    for part in ("Accuracy by keypoint", "tailbase", "Annotated (left) and found (right)", "data:image/jpeg"):
        assert part in page


def test_the_heads_are_sized_and_named_by_the_data(
    estimate: Any, estimators: dict[str, Any], poses: Path, tmp_path: Path
) -> None:
    estimate(dataset={"keypoint_names": ["a", "b", "c", "d"], "skeleton": [["a", "d"]], "sigmas": [0.1, 0.2, 0.3, 0.4]})
    settings = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert settings["id2label"] == {"0": "a", "1": "b", "2": "c", "3": "d"}
    form = adapt_core.load_run(tmp_path / "run").info["keypoints"]
    assert form == {
        "names": ["a", "b", "c", "d"],
        "flip_pairs": [],
        "skeleton": [[0, 3]],
        "sigmas": [0.1, 0.2, 0.3, 0.4],
    }


def test_the_expert_of_a_vitpose_plus_is_the_one_that_is_named(
    pose: dict[str, Any], estimators: dict[str, Any], tmp_path: Path
) -> None:
    pixels, made = torch.rand(2, 3, 64, 48), []
    for model in ({}, {"dataset_index": 0}, {"dataset_index": 2}):
        task = planned(pose, tmp_path, model={**estimators["plus"], **model})
        module = task.load_model(task.load_data().info).module.eval()
        module.head.conv.weight.data.fill_(1.0)  # the head is new, and random
        with torch.no_grad():
            made.append(task.library.heatmaps(module, pixels))
            indices = torch.full((2,), model.get("dataset_index", 0))
            assert torch.equal(made[-1], module(pixel_values=pixels, dataset_index=indices).heatmaps)
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    for name, index, message in (("plus", 3, "has 3 experts, 0 to 2"), ("simple", 0, "has no experts")):
        task = planned(pose, tmp_path, model={**estimators[name], "dataset_index": index})
        with pytest.raises(AdaptError, match=message):
            task.load_model(task.load_data().info)


def test_augmentation_changes_training_crops_alone(pose: dict[str, Any], tmp_path: Path) -> None:
    for name, equal in (("none", True), ("light", False), ("standard", False)):
        task = planned(pose, tmp_path, task={"augmentation": name})
        data = task.load_data()
        inputs = task.engine_inputs(data, task.load_model(data.info))
        for rows, same in ((inputs.train, equal), (inputs.evaluation, True)):
            plain = [
                task.library.crop(task.load_processor({}), rows.reader[row], rows.instances[row].box, 0.0)[0]
                for row in range(4)
            ]
            assert all(torch.equal(rows[row].pixels, plain[row]) for row in range(4)) == same


def test_a_keypoint_that_is_never_annotated_is_named(pose: dict[str, Any], poses: Path, tmp_path: Path) -> None:
    from adapt_core.bundles import Evaluated

    folder = shutil.copytree(poses, tmp_path / "data")
    content = json.loads((folder / "annotations" / "train.json").read_text())
    for each in content["annotations"]:
        each["keypoints"][9:] = [0, 0, 0]
        del each["num_keypoints"]
    (folder / "annotations" / "train.json").write_text(json.dumps(content))
    task = planned(pose, tmp_path, dataset={"path": str(folder)})
    (notice,) = task.notices(Evaluated({"pck": 0.5}, None), task.load_data())
    assert "tail" in notice and "nose" not in notice


def test_the_training_file_s_sigmas_measure_every_split(pose: dict[str, Any], poses: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(poses, tmp_path / "data")
    for split, sigmas in (("train", [0.1, 0.2, 0.3, 0.4]), ("val", [0.01] * 4)):
        content = json.loads((folder / "annotations" / f"{split}.json").read_text())
        content["categories"][0]["sigmas"] = sigmas
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))
    task = planned(pose, tmp_path, dataset={"path": str(folder)})
    data = task.load_data()
    again = task.load_split(str(folder), "validation", data.info)
    for rows in (data.train, data.evaluation, again.evaluation):
        assert list(rows.form.sigmas) == [0.1, 0.2, 0.3, 0.4]


def test_the_flat_names_of_the_tables_mean_the_same(estimators: dict[str, Any], poses: Path) -> None:
    from adapt_core.plan.build import build_plan

    plan = build_plan(
        {
            "TASK": "pose_detection",
            "CUSTOM_DATASET_PATH": str(poses),
            "LOCAL_MODEL_PATH": estimators["simple"]["path"],
            "FULL_FINE_TUNING": True,
            "train_ann_file": "annotations/val.json",
            "val_ann_file": "annotations/train.json",
        }
    )
    assert plan.make_task().load_data().info["objects"] == {"train": 4, "validation": 8}


# ---- models that do not fit -----------------------------------------------------------------------------------


def test_other_models_processors_and_heads_are_refused(
    pose: dict[str, Any], estimators: dict[str, Any], models: dict[str, Any], poses: Path, tmp_path: Path
) -> None:
    from transformers import VitPoseImageProcessor

    vit = models["vit"]["path"]
    other = shutil.copytree(estimators["simple"]["path"], tmp_path / "other")
    VitPoseImageProcessor(size={"height": 64, "width": 64}).save_pretrained(other)
    for changes, message in (
        ({"model": {"path": vit}}, "is of the family vit, and pose detection trains ViTPose"),
        ({"model": {"image_processor": vit}}, "is not ViTPose's: it cuts no boxes"),
        ({"model": {"path": str(other)}}, "crops of 64 × 64 pixels, and the model reads 64 × 48"),
    ):
        task = planned(pose, tmp_path, **changes)
        with pytest.raises(AdaptError, match=message):
            task.load_model(task.load_data().info)


def test_a_head_that_is_not_trained_must_know_the_keypoints(
    pose: dict[str, Any], estimators: dict[str, Any], tmp_path: Path
) -> None:
    from transformers import VitPoseForPoseEstimation

    folder = shutil.copytree(estimators["simple"]["path"], tmp_path / "named")
    names = dict(enumerate(("snout", "left_ear", "right_ear", "tail")))
    module = VitPoseForPoseEstimation.from_pretrained(folder, num_labels=4, ignore_mismatched_sizes=True)
    module.config.id2label, module.config.label2id = names, {name: place for place, name in names.items()}
    module.save_pretrained(folder)
    changes = {"model": {"path": str(folder)}, "method": {"name": "lora", "train_head": False}}
    task = planned(pose, tmp_path, **changes)
    with pytest.raises(AdaptError, match="snout"):
        task.load_model(task.load_data().info)
    task = planned(pose, tmp_path, **changes, dataset={"keypoint_names": list(names.values())})
    assert task.load_model(task.load_data().info).hints.fresh == ()


# ---- use ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "method"), [("classic", "full"), ("plus", "lora")])
def test_the_readme_s_code_predicts_the_same_without_adapt(
    method: str, model: str, estimate: Any, estimators: dict[str, Any], poses: Path, tmp_path: Path
) -> None:
    estimate(model=estimators[model], method=METHODS[method])
    paths = [str(poses / "val" / f"val{number}.png") for number in range(2)]
    expected = adapt_core.load_run(tmp_path / "run").predict(paths)
    folder = tmp_path / "run" / "model"
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), flags=re.DOTALL)
    assert "adapt" not in code.replace("adapter", "")
    done = subprocess.run([sys.executable, "-c", code, *paths], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines] == [
        [path, name] for path in paths for name in ("nose", "left_ear", "right_ear", "tail")
    ]
    ours = np.concatenate([each["objects"][0]["keypoints"] for each in expected])
    assert [float(value) for line in lines for value in line[2:]] == pytest.approx(ours.tolist(), abs=1e-3)


def test_boxes_come_from_annotations_and_from_a_detector(
    estimate: Any, adapt: Any, poses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    estimate()
    run = adapt_core.load_run(tmp_path / "run")
    file = poses / "annotations" / "val.json"
    truth = json.loads(file.read_text())["annotations"]
    found = run.predict(run.parse_inputs([], file), drawn=str(tmp_path / "drawn"), threshold=0.0)
    assert [each["image_id"] for each in found] == [10, 11, 12, 13]
    for one, other in zip(found, truth, strict=True):
        assert one["objects"][0]["bbox"] == pytest.approx(other["bbox"])
    assert sorted(each.name for each in (tmp_path / "drawn").iterdir()) == [f"val{n}.png" for n in range(4)]
    before, after = (Image.open(folder / "val0.png") for folder in (poses / "val", tmp_path / "drawn"))
    assert before.size == after.size and before.tobytes() != after.tobytes()

    boxes = [{"bbox": [5.0, 5.0, 30.0, 40.0], "score": 0.9}, {"bbox": truth[0]["bbox"], "score": 0.8}]
    image = str(poses / "val" / "val0.png")
    (tmp_path / "boxes.json").write_text(json.dumps([{"image": image, "objects": boxes}]))
    (tmp_path / "boxes.jsonl").write_text(json.dumps({"image": image, "objects": boxes}) + "\n")
    capsys.readouterr()
    for name in ("boxes.json", "boxes.jsonl"):
        (other,) = adapt("predict", str(tmp_path / "run"), "--input", str(tmp_path / name))
        assert [each["bbox"] for each in other["objects"]] == [each["bbox"] for each in boxes]
        assert other["objects"][1]["keypoints"] == pytest.approx(found[0]["objects"][0]["keypoints"], abs=1e-3)
    (whole,) = run.predict([image])
    width, height = Image.open(image).size
    assert whole["objects"][0]["bbox"] == [0, 0, width, height]
    assert run.predict([{"image": image, "boxes": []}]) == [{"image": image, "objects": []}]


def test_it_is_told_where_nothing_tells_sides(pose: dict[str, Any], tmp_path: Path) -> None:
    numbers = {"keypoint_names": ["0", "1", "2", "3"]}
    for augmentation, dataset, told in (
        ("light", numbers, True),
        ("none", numbers, False),
        ("light", {**numbers, "flip_pairs": [["1", "2"]]}, False),
    ):
        task = planned(pose, tmp_path, task={"augmentation": augmentation}, dataset=dataset)
        data = task.load_data()
        model = task.load_model(data.info)
        train = task.inspect(data, model.processor, 1)[0]
        for notices in (model.notices, train.notices):
            assert any("dataset.flip_pairs" in each for each in notices) == told


def test_odd_files_of_boxes_are_refused(pose: dict[str, Any], tmp_path: Path) -> None:
    task = planned(pose, tmp_path)
    for text, message in (
        ("{", "cannot be read"),
        ("5", "holds a int"),
        ("[]", "holds no images"),
        ("[5]", "entry 0 has no image"),
        ('[{"image": "a.png"}]', "entry 0 has no image, or no list of objects"),
        ('[{"image": "a.png", "objects": [{"bbox": [1, 2, 3]}]}]', "entry 0, a.png: bbox is .*not four numbers"),
        ('[{"image": "a.png", "objects": [{"bbox": [1, 2, true, 3]}]}]', "bbox is .*not four numbers"),
        ('[{"image": "a.png", "objects": [{"bbox": [1, 2, Infinity, 3]}]}]', "bbox is .*not four numbers"),
        ('[{"image": "a.png", "objects": [{"bbox": [1, 2, 0, 3]}]}]', "bbox .* is empty"),
        ('{"images": []}', "has no 'annotations'"),
    ):
        (tmp_path / "boxes.json").write_text(text)
        with pytest.raises(AdaptError, match=message):
            task.parse_inputs([], tmp_path / "boxes.json", {})


def test_adapt_eval_data_and_init_work_on_the_command_line(
    estimate: Any, pose: dict[str, Any], adapt: Any, poses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    estimate()
    capsys.readouterr()
    assert adapt("eval", str(tmp_path / "run"), "--data", str(poses), "--split", "train")["rows"] == 8
    made = {
        **pose,
        "task": {"name": "pose_detection", "augmentation": "standard"},
        "output_dir": str(tmp_path / "never"),
    }
    (tmp_path / "config.json").write_text(json.dumps(made))
    assert adapt("data", str(tmp_path / "config.json"))
    adapt("data", str(tmp_path / "config.json"), "--html", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert "data:image/jpeg" in page and "animal, 4 keypoints" in page
    train, validation = adapt_core.inspect_data(made, examples=3)
    assert (len(train.keys), len(validation.keys)) == (8, 4)
    assert train.labels == {"animal": 8} and len(train.examples[0].rows) == 3
