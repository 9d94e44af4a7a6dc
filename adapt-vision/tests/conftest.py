"""Tiny image models, images that they can learn, and runs with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import adapt_core

EDGE = 32
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def write_images(folder: Path, counts: Mapping[str, int], seed: int = 0) -> Path:
    """A folder for each class, with noisy images of its colour and of various sizes."""
    draw = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            height, width = draw.integers(36, 60, 2)
            noise = draw.integers(-40, 40, (height, width, 3))
            pixels = (np.array(COLOURS[name]) + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``train`` with 12 and ``validation`` with 4 images of each of three classes."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder / "train", dict.fromkeys(COLOURS, 12), seed=1)
    write_images(folder / "validation", dict.fromkeys(COLOURS, 4), seed=2)
    return folder


def _timm(folder: Path, name: str, **arguments: Any) -> Path:
    import timm
    import torch
    from timm.models import save_for_hf

    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5, **arguments)
    model.train()
    with torch.no_grad():
        model(torch.randn(8, 3, EDGE, EDGE))  # moves running statistics, as pretraining does
    size = (3, EDGE, EDGE)
    save_for_hf(model, str(folder), safe_serialization=True, data_config={"input_size": size, "crop_pct": 0.9})
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The ``model`` section for a convnet and a ViT of timm, and a ResNet and a ViT of transformers, all local."""
    from transformers import (
        AutoModelForImageClassification,
        ConvNextImageProcessor,
        ResNetConfig,
        ViTConfig,
        ViTImageProcessor,
        set_seed,
    )

    folder = tmp_path_factory.mktemp("models")
    found: dict[str, dict[str, Any]] = {
        "timm_resnet": {"path": str(_timm(folder / "timm_resnet", "test_resnet"))},
        "timm_vit": {"path": str(_timm(folder / "timm_vit", "test_vit", img_size=EDGE))},
    }
    size = {"height": EDGE, "width": EDGE}
    for name, settings, processor in (
        (
            "vit",
            ViTConfig(
                image_size=EDGE,
                patch_size=8,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                hidden_dropout_prob=0.1,
                num_labels=5,
            ),
            ViTImageProcessor(size=size),
        ),
        (
            "resnet",
            ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic", num_labels=5),
            ConvNextImageProcessor(size={"shortest_edge": EDGE}, crop_pct=0.875),
        ),
    ):
        set_seed(0)
        model = AutoModelForImageClassification.from_config(settings)
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
        found[name] = {"path": str(folder / name), "library": "transformers"}
    return found


@pytest.fixture(scope="session")
def config(images: Path, models: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "task": {"name": "image_classification", "augmentation": "none"},
        "model": models["timm_resnet"],
        "dataset": {"path": str(images)},
        "method": {"name": "full"},
        "training": {"lr": 3e-3, "epochs": 2, "batch_size": 8, "num_workers": 0},
        "save": "none",
    }


@pytest.fixture
def quick(config: dict[str, Any], tmp_path: Path, no_reload: None) -> Callable[..., dict[str, Any]]:
    """Runs two steps of a changed configuration, without the process that loads what was saved."""

    def run(**changes: Any) -> dict[str, Any]:
        made = {**config, "output_dir": str(tmp_path / "quick")}
        for key, value in changes.items():
            merges = isinstance(value, dict) and isinstance(made.get(key), dict) and key != "model"
            made[key] = {**made[key], **value} if merges else value
        made["training"] = {"max_steps": 2, **made["training"]}
        return adapt_core.run(made, overwrite=True)

    return run
