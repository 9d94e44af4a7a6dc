"""Image classification from a folder to a used model, with tiny models built on the spot."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import adapt_core
from adapt_core.errors import AdaptError, ConfigError
from adapt_core.testing import TaskContract


class TestTimmContract(TaskContract):
    @pytest.fixture
    def configuration(self, config: dict[str, Any]) -> dict[str, Any]:
        return {**config, "method": {"name": "lora", "target_modules": "conv"}, "training": _few(config)}


class TestTransformersContract(TaskContract):
    @pytest.fixture
    def configuration(self, config: dict[str, Any], models: dict[str, Any]) -> dict[str, Any]:
        return {**config, "model": models["vit"], "training": _few(config)}


def _few(config: dict[str, Any]) -> dict[str, Any]:
    return {**config["training"], "max_steps": 3}


@pytest.mark.parametrize("model", ["timm_resnet", "resnet"])
def test_it_learns_what_there_is_to_learn(
    model: str, config: dict[str, Any], models: dict[str, Any], tmp_path: Path, no_reload: None
) -> None:
    training = {**config["training"], "epochs": 6, "lr": 5e-3}
    task = {**config["task"], "augmentation": "light"}
    changes = {"task": task, "model": models[model], "training": training, "output_dir": str(tmp_path / "run")}
    result = adapt_core.run({**config, **changes})
    assert result["metrics"]["accuracy"] > 0.9
    assert 0 <= result["throughput"]["loading_share"] < 1
    page = (tmp_path / "run" / "report.html").read_text()
    for part in ("Confusion matrix", "Classified rightly", "data:image/jpeg", "green", "loading share"):
        assert part in page


@pytest.mark.slow
def test_a_killed_run_with_augmentation_dropout_and_workers_resumes_bit_for_bit(
    config: dict[str, Any], models: dict[str, Any], tmp_path: Path, no_reload: None
) -> None:
    made = {
        **config,
        "task": {**config["task"], "augmentation": "randaugment", "mixup": 0.4, "cutmix": 0.5},
        "model": models["vit"],
        "training": {**config["training"], "epochs": 40, "interval": "steps", "interval_steps": 3, "logging_steps": 5},
    }
    whole = tmp_path / "whole"
    adapt_core.run({**made, "output_dir": str(whole)})

    killed = tmp_path / "killed"
    (tmp_path / "config.json").write_text(
        json.dumps({**made, "training": {**made["training"], "num_workers": 2}, "output_dir": str(killed)})
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "adapt_core.cli", "run", str(tmp_path / "config.json")],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 240
    while len(list(killed.glob("checkpoints/*/complete.json"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "result.json").exists()
    adapt_core.run({**made, "output_dir": str(killed)}, resume=True)
    for name in ("model/model.safetensors", "metrics.jsonl"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


# ---- the model section ----------------------------------------------------------------------------------------


def started_from(model: dict[str, Any], quick: Any, tmp_path: Path) -> dict[str, torch.Tensor]:
    """The backbone's weights of a run that only trains the head."""
    from safetensors.torch import load_file

    quick(model=model, method={"name": "last_layer"})
    return load_file(tmp_path / "quick" / "model" / "model.safetensors")


@pytest.mark.parametrize(("model", "key"), [("timm_resnet", "conv1.0.weight"), ("resnet", None)])
def test_load_model_says_whether_weights_are_the_pretrained_ones(
    model: str, key: str | None, quick: Any, models: dict[str, Any], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    before = load_file(Path(models[model]["path"]) / "model.safetensors")
    key = key or next(name for name in before if name.endswith("convolution.weight"))
    assert torch.equal(started_from(models[model], quick, tmp_path)[key], before[key])
    random = started_from({**models[model], "pretrained": False}, quick, tmp_path)
    assert not torch.equal(random[key], before[key])


def flat(config: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    """The configuration in the names of the parameter tables."""
    return {
        "TASK": "image_classification",
        "CUSTOM_DATASET_PATH": config["dataset"]["path"],
        "FULL_FINE_TUNING": True,
        **parameters,
    }


def test_the_flat_names_mean_the_same(config: dict[str, Any], models: dict[str, Any]) -> None:
    from adapt_core.plan.build import build_plan

    path = models["vit"]["path"]
    plan = build_plan(
        flat(
            config,
            FRAMEWORK="Transformers",
            LOCAL_MODEL_PATH=path,
            load_model=False,
            model_type="vit",
            image_processor_path=models["resnet"]["path"],
        )
    )
    found = plan.model.model_dump()
    assert found == {
        "name": None,
        "path": path,
        "library": "transformers",
        "pretrained": False,
        "type": "vit",
        "image_processor": models["resnet"]["path"],
    }
    plan = build_plan(flat(config, Library="Timm", model_path="densenet121", model_type="densenet_timm"))
    assert (plan.model.name, plan.library.name, plan.model.family) == ("densenet121", "timm", "densenet")  # type: ignore[attr-defined]


def test_model_type_is_held_against_the_model(quick: Any, models: dict[str, Any]) -> None:
    quick(model={**models["timm_resnet"], "type": "resnet_timm"})
    with pytest.raises(AdaptError, match=r"model_type\) is densenet_timm, and .* is of timm's family resnet"):
        quick(model={**models["timm_resnet"], "type": "densenet_timm"})
    with pytest.raises(AdaptError, match=r"model_type\) is convnext, and .* is of transformers' family vit"):
        quick(model={**models["vit"], "type": "convnext"})
    with pytest.raises(ConfigError, match=r"does not end in _timm: it is a family of transformers"):
        quick(model={**models["timm_resnet"], "type": "vit"})
    with pytest.raises(ConfigError, match=r"a family of timm's; set library \(Library\) to timm"):
        quick(model={**models["vit"], "type": "densenet_timm"})


@pytest.mark.parametrize("model", ["timm_resnet", "vit"])
def test_another_image_processor_makes_other_inputs(
    model: str, quick: Any, models: dict[str, Any], images: Path, tmp_path: Path
) -> None:
    from transformers import ViTImageProcessor

    own = ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0, 0, 0], image_std=[1, 1, 1])
    own.save_pretrained(tmp_path / "processor")
    quick(model={**models[model], "image_processor": str(tmp_path / "processor")})
    run = adapt_core.load_run(tmp_path / "quick")
    image = Image.open(images / "train" / "red" / "000.png")
    found = run.task.library.processing(run.model.processor).evaluation(image)  # type: ignore[attr-defined]
    expected = own(images=image, return_tensors="pt")["pixel_values"][0]
    # timm resizes with Pillow, and transformers with torch: they differ by less than two levels of 255.
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 2.5 / 255


def test_a_processor_s_folder_is_found_from_any_other(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from adapt_vision.libraries.options import TransformersModel

    folder = Path(models["resnet"]["path"])
    monkeypatch.chdir(folder.parent)
    assert TransformersModel(path="x", image_processor=folder.name).image_processor == str(folder)
    monkeypatch.chdir(tmp_path)
    assert TransformersModel(path="x", image_processor="owner/name").image_processor == "owner/name"


def test_a_folder_of_transformers_is_not_taken_for_timm_s(quick: Any, models: dict[str, Any]) -> None:
    with pytest.raises(AdaptError, match=r"holds a vit of transformers") as caught:
        quick(model={"path": models["vit"]["path"]})
    assert "model.library" in caught.value.hint


def test_a_processor_that_is_not_there_is_named(quick: Any, models: dict[str, Any], tmp_path: Path) -> None:
    for model in ("timm_resnet", "vit"):
        with pytest.raises(AdaptError, match=r"image_processor_path\): .*nix cannot be loaded"):
            quick(model={**models[model], "image_processor": str(tmp_path / "nix")})


def test_weights_in_a_file_need_the_name_of_their_architecture(quick: Any, tmp_path: Path) -> None:
    import timm

    torch.manual_seed(3)
    weights = timm.create_model("test_resnet").state_dict()
    torch.save(weights, tmp_path / "weights.pth")
    with pytest.raises(AdaptError, match=r"nothing says of which architecture"):
        quick(model={"path": str(tmp_path / "weights.pth")})
    quick(
        model={"name": "test_resnet", "path": str(tmp_path / "weights.pth")},
        method={"name": "last_layer"},
        task={"image_size": 32},
    )
    module = adapt_core.load_run(tmp_path / "quick").model.module
    assert torch.equal(module.conv1[0].weight, weights["conv1.0.weight"])


def test_an_unknown_model_is_named_with_the_nearest(quick: Any) -> None:
    with pytest.raises(AdaptError, match=r"timm has no model 'test_resnte'; did you mean 'test_resnet'"):
        quick(model={"name": "test_resnte"})


def test_a_file_that_is_no_checkpoint_is_refused(quick: Any, tmp_path: Path) -> None:
    import pickle

    (tmp_path / "weights.pth").write_bytes(pickle.dumps(print))  # a pickle that is no dictionary of tensors
    with pytest.raises(AdaptError, match=r"weights.pth cannot be loaded"):
        quick(model={"name": "test_resnet", "path": str(tmp_path / "weights.pth")})


@pytest.mark.parametrize("model", ["timm_resnet", "timm_vit", "resnet"])
def test_the_model_reads_images_of_the_size_asked_for(
    model: str, quick: Any, models: dict[str, Any], tmp_path: Path
) -> None:
    quick(model=models[model], task={"image_size": 48})
    run = adapt_core.load_run(tmp_path / "quick")
    assert run.task.library.processing(run.model.processor).form.size == (48, 48)  # type: ignore[attr-defined]
    row = run.task.probe_rows(run.task.load_split(None, None, run.info))[0]
    assert run.predict([row])[0]["label"] in ("red", "green", "blue")


def test_an_adapter_on_random_weights_is_refused(config: dict[str, Any]) -> None:
    random = {**config["model"], "pretrained": False}
    with pytest.raises(ConfigError, match=r"pretrained: the method lora saves an adapter, whose base would be random"):
        adapt_core.run({**config, "model": random, "method": "lora"})


@pytest.mark.parametrize(
    ("name", "head"), [("test_resnet", "fc"), ("test_vit", "head"), ("test_efficientnet", "classifier")]
)
def test_the_head_of_a_timm_model_is_its_classifier(name: str, head: str) -> None:
    import timm

    module = adapt_core.apply_method(timm.create_model(name, num_classes=3), "last_layer")
    trained = {each for each, value in module.named_parameters() if value.requires_grad}
    assert trained == {f"{head}.weight", f"{head}.bias"}
    with pytest.raises(AdaptError, match="no head"):
        adapt_core.apply_method(timm.create_model(name, num_classes=0), "last_layer")


# ---- classes and heads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["timm_resnet", "vit"])
def test_a_head_of_the_same_classes_keeps_their_order_and_is_not_replaced(
    model: str, quick: Any, models: dict[str, Any], tmp_path: Path
) -> None:
    quick(model=models[model])
    first = tmp_path / "first"
    (tmp_path / "quick").rename(first)
    settings = first / "model" / "config.json"
    content = json.loads(settings.read_text())
    order = ["red", "blue", "green"]
    if model == "vit":
        content |= {"id2label": dict(enumerate(order)), "label2id": {name: n for n, name in enumerate(order)}}
    else:
        content["label_names"] = order
    settings.write_text(json.dumps(content))
    again = {"path": str(first / "model"), "library": models[model].get("library")}
    target = "conv" if model == "timm_resnet" else "all-linear"
    quick(model=again, method={"name": "lora", "r": 1, "train_head": False, "target_modules": target})
    assert adapt_core.load_run(tmp_path / "quick").info["label_names"] == order
    with pytest.raises(AdaptError, match=r"newly initialised: frozen, it would give random answers"):
        quick(model=models[model], method={"name": "lora", "r": 1, "train_head": False, "target_modules": target})


# ---- use without Adapt ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "method", "size"),
    [
        ("timm_resnet", "full", None),
        ("timm_vit", "lora", 48),
        ("timm_vit", "bitfit", None),
        ("vit", "ssf", None),
        ("resnet", "full", None),
        ("resnet", "lora", 48),
    ],
)
def test_the_readme_s_code_predicts_the_same_without_adapt(
    method: str, model: str, size: int | None, quick: Any, models: dict[str, Any], images: Path, tmp_path: Path
) -> None:
    settings = {"name": method, **({"target_modules": "all"} if method == "lora" else {})}
    quick(model=models[model], method=settings, task={"image_size": size})
    paths = [str(images / "validation" / label / "001.png") for label in ("red", "green", "blue")]
    expected = adapt_core.load_run(tmp_path / "quick").predict(paths)
    folder = tmp_path / "quick" / "model"
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), flags=re.DOTALL)
    own = method in ("ssf", "bitfit")  # tuners that PEFT does not have itself
    assert ("import adapt_core.peft" in code) if own else ("adapt" not in code.replace("adapter", ""))
    done = subprocess.run([sys.executable, "-c", code, *paths], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines] == [[each["image"], each["label"]] for each in expected]
    assert [float(line[2]) for line in lines] == pytest.approx([each["score"] for each in expected], abs=1e-4)


def test_a_timm_model_is_loaded_by_timm_from_its_folder(quick: Any, images: Path, tmp_path: Path) -> None:
    import timm
    from timm.data import create_transform, resolve_model_data_config

    quick()
    run = adapt_core.load_run(tmp_path / "quick")
    module = timm.create_model(f"local-dir:{tmp_path / 'quick' / 'model'}", pretrained=True).eval()
    path = images / "validation" / "red" / "001.png"
    transform = create_transform(**resolve_model_data_config(module))
    with torch.inference_mode():
        found = module(transform(Image.open(path))[None])[0].numpy()
    (expected,) = run.task.outputs(run.model, [{"image": str(path)}], run.info)
    assert np.allclose(found, expected, atol=1e-5)
    assert module.pretrained_cfg["label_names"] == ["blue", "green", "red"]


def test_adapt_predict_takes_files_a_folder_and_a_table(
    quick: Any, adapt: Any, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick()
    capsys.readouterr()
    run, folder = str(tmp_path / "quick"), images / "validation" / "green"
    by_folder = adapt("predict", run, "--data", str(folder))
    assert [Path(each["image"]).name for each in by_folder] == ["000.png", "001.png", "002.png", "003.png"]
    files = adapt("predict", run, str(folder / "000.png"), str(folder / "003.png"))
    assert [each["score"] for each in files] == pytest.approx([by_folder[0]["score"], by_folder[3]["score"]], abs=1e-5)
    (tmp_path / "rows.csv").write_text("path\n" + "".join(f"{folder}/{n:03d}.png\n" for n in range(4)))
    by_table = adapt("predict", run, "--input", str(tmp_path / "rows.csv"))
    assert [each["label"] for each in by_table] == [each["label"] for each in by_folder]
    assert adapt("eval", run, "--data", str(images), "--split", "train")["rows"] == 36


def test_adapt_data_shows_the_images_as_the_model_sees_them(
    config: dict[str, Any], models: dict[str, Any], adapt: Any, images: Path, tmp_path: Path
) -> None:
    made = {**config, "model": models["vit"], "output_dir": str(tmp_path / "never")}
    train, validation = adapt_core.inspect_data(made, examples=4)
    assert (len(train.keys), len(set(train.keys)), len(validation.keys)) == (36, 36, 12)
    assert train.labels == {"red": 12, "green": 12, "blue": 12}
    (section,) = train.examples
    assert [caption for _, caption in section.rows] == ["blue", "blue", "green", "red"]
    for picture, caption in section.rows:
        pixels = np.asarray(Image.open(io.BytesIO(picture))).astype(int)
        assert pixels.shape == (32, 32, 3)
        assert pixels.mean((0, 1)).argmax() == ["red", "green", "blue"].index(caption)
    (tmp_path / "config.json").write_text(json.dumps(made))
    assert adapt("data", str(tmp_path / "config.json"))


def test_a_model_that_has_learnt_nothing_is_named(config: dict[str, Any]) -> None:
    from adapt_core.bundles import Data, Evaluated
    from adapt_core.plan.build import build_plan
    from adapt_vision.image_classification.metrics import Chosen

    task = build_plan({**config, "output_dir": "never"}).make_task()
    data = Data(None, None, {"label_names": ["a", "b"]})
    one = Chosen(np.array([[30, 0], [30, 0]]), *[np.zeros(60, dtype=int)] * 2, np.ones(60))
    assert len(task.notices(Evaluated({}, one), data)) == 1
    good = Chosen(np.array([[30, 0], [1, 29]]), *[np.zeros(60, dtype=int)] * 2, np.ones(60))
    assert not task.notices(Evaluated({}, good), data)


def test_no_more_classes_are_told_than_asked_for(quick: Any, images: Path, tmp_path: Path) -> None:
    quick()
    run = adapt_core.load_run(tmp_path / "quick")
    path = str(images / "validation" / "red" / "000.png")
    (all_of_them,), (best,) = run.predict([path]), run.predict([path], top=1)
    assert len(all_of_them["scores"]) == 3
    assert best["scores"] == {best["label"]: best["score"]}


# ---- training -------------------------------------------------------------------------------------------------


def test_label_smoothing_is_that_of_the_cross_entropy(config: dict[str, Any], models: dict[str, Any]) -> None:
    from adapt_core.plan.build import build_plan

    def loss(**task: Any) -> float:
        plan = build_plan({**config, "task": {**config["task"], **task}, "output_dir": "never"})
        made = plan.make_task()
        batch = {"x": torch.zeros(2, 3, 32, 32), "labels": torch.tensor([0, 1])}
        return float(made._step(lambda _: torch.tensor([[2.0, 0.0, -1.0]] * 2), batch)["loss"])

    plain = torch.nn.functional.cross_entropy(torch.tensor([[2.0, 0.0, -1.0]] * 2), torch.tensor([0, 1]))
    assert loss() == pytest.approx(float(plain))
    # (1 - e) of the loss, and e of the mean of -log p over all classes (Szegedy et al. 2015, arXiv:1512.00567).
    spread = -torch.tensor([2.0, 0.0, -1.0]).log_softmax(0).mean()
    assert loss(label_smoothing=0.3) == pytest.approx(float(0.7 * plain + 0.3 * spread))


def test_batch_normalisation_may_be_trained_beside_an_adapter(quick: Any, models: dict[str, Any]) -> None:
    method = {"name": "lora", "r": 1, "target_modules": "conv"}
    without = quick(method=method)["parameters"]["trainable"]
    assert quick(method={**method, "train_batch_norm": True})["parameters"]["trainable"] > without


def test_a_head_of_other_classes_that_is_not_trained_is_refused(
    quick: Any, models: dict[str, Any], tmp_path: Path
) -> None:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    animals = dict(enumerate(["cat", "dog", "cow"]))
    base = AutoModelForImageClassification.from_pretrained(
        models["vit"]["path"],
        id2label=animals,
        label2id={v: k for k, v in animals.items()},
        ignore_mismatched_sizes=True,
    )
    base.save_pretrained(tmp_path / "animals")
    AutoImageProcessor.from_pretrained(models["vit"]["path"]).save_pretrained(tmp_path / "animals")
    model = {"path": str(tmp_path / "animals"), "library": "transformers"}
    with pytest.raises(AdaptError, match=r"knows 3 classes, cat, dog, cow.* the data has blue, green, red"):
        quick(model=model, method={"name": "lora", "train_head": False})
    assert quick(model=model, method={"name": "lora"})["status"] == "completed"
