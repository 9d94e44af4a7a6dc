"""Tiny image models, images that they can learn, and runs with them."""

from __future__ import annotations

import json
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


# ---- images with poses ----------------------------------------------------------------------------------------

KEYPOINTS = ("nose", "left_ear", "right_ear", "tail")


def write_poses(folder: Path, split: str, count: int, seed: int) -> None:
    """Grey images with a bright animal each: four dots of their own colours, one of them hidden now and then."""
    draw = np.random.default_rng(seed)
    (folder / split).mkdir(parents=True, exist_ok=True)
    (folder / "annotations").mkdir(exist_ok=True)
    images, annotations = [], []
    for number in range(count):
        height, width = (int(each) for each in draw.integers(70, 90, 2))
        pixels = draw.integers(90, 130, (height, width, 3)).astype(np.uint8)
        left, top = (float(each) for each in draw.integers(5, 20, 2))
        body = np.array([[20, 4], [8, 12], [32, 14], [22, 44]]) + draw.uniform(-3, 3, (4, 2)) + [left, top]
        points = []
        for place, (x, y) in enumerate(body.round(1).tolist()):
            colour = [*COLOURS.values(), (240, 240, 40)][place]
            pixels[int(y) - 2 : int(y) + 4, int(x) - 2 : int(x) + 4] = colour
            points += [x, y, 1 if draw.random() < 0.1 else 2] if place or number % 4 else [0, 0, 0]
        low, high = body.min(0) - 4, body.max(0) + 4
        box = [round(float(each), 1) for each in (*low, *(high - low))]
        annotations.append(
            {
                "id": number + 1,
                "image_id": number + 10,
                "category_id": 5,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
                "keypoints": points,
                "num_keypoints": sum(each > 0 for each in points[2::3]),
            }
        )
        Image.fromarray(pixels).save(folder / split / f"{split}{number}.png")
        images.append({"id": number + 10, "file_name": f"{split}{number}.png", "width": width, "height": height})
    category = {"id": 5, "name": "animal", "keypoints": list(KEYPOINTS), "skeleton": [[1, 2], [1, 3], [1, 4]]}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))


@pytest.fixture(scope="session")
def poses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training and four validation images of one animal each, with four keypoints."""
    folder = tmp_path_factory.mktemp("poses")
    write_poses(folder, "train", 8, seed=1)
    write_poses(folder, "val", 4, seed=2)
    return folder


@pytest.fixture(scope="session")
def estimators(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The ``model`` section of a tiny ViTPose with a simple head and with a classic one, and of a ViTPose+."""
    from transformers import (
        VitPoseBackboneConfig,
        VitPoseConfig,
        VitPoseForPoseEstimation,
        VitPoseImageProcessor,
        set_seed,
    )

    folder, found = tmp_path_factory.mktemp("estimators"), {}
    for name, simple, experts in (("simple", True, 1), ("classic", False, 1), ("plus", True, 3)):
        backbone = VitPoseBackboneConfig(
            image_size=[64, 48],
            patch_size=[8, 8],
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            mlp_ratio=2,
            num_experts=experts,
            part_features=8,
            out_indices=[2],
        )
        set_seed(0)
        settings = VitPoseConfig(backbone_config=backbone, use_simple_decoder=simple, num_labels=5)
        VitPoseForPoseEstimation(settings).save_pretrained(folder / name)
        VitPoseImageProcessor(size={"height": 64, "width": 48}).save_pretrained(folder / name)
        found[name] = {"path": str(folder / name)}
    return found


@pytest.fixture(scope="session")
def pose(poses: Path, estimators: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "task": {"name": "pose_detection", "augmentation": "none"},
        "model": estimators["simple"],
        "dataset": {"path": str(poses)},
        "method": {"name": "full"},
        "training": {"lr": 1e-3, "max_steps": 2, "batch_size": 4, "num_workers": 0},
        "save": "none",
    }


# ---- images with objects --------------------------------------------------------------------------------------


def write_objects(folder: Path, split: str, count: int, seed: int) -> None:
    """Grey images with one to three coloured rectangles each, as COCO has it; category ids have gaps."""
    draw = np.random.default_rng(seed)
    (folder / split).mkdir(parents=True, exist_ok=True)
    (folder / "annotations").mkdir(exist_ok=True)
    images, annotations = [], []
    for number in range(count):
        height, width = (int(each) for each in draw.integers(60, 90, 2))
        pixels = draw.integers(100, 140, (height, width, 3)).astype(np.uint8)
        for _ in range(int(draw.integers(1, 4))):
            w, h = (int(each) for each in draw.integers(15, 30, 2))
            left, top = int(draw.integers(0, width - w)), int(draw.integers(0, height - h))
            category = int(draw.integers(0, 2))
            pixels[top : top + h, left : left + w] = list(COLOURS.values())[category]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 10,
                    "category_id": (3, 7)[category],
                    "bbox": [left, top, w, h],
                    "segmentation": [[left, top, left + w, top, left + w, top + h, left, top + h]],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
        Image.fromarray(pixels).save(folder / split / f"{split}{number}.png")
        images.append({"id": number + 10, "file_name": f"{split}{number}.png", "width": width, "height": height})
    categories = [{"id": 3, "name": "red"}, {"id": 7, "name": "green"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training and four validation images with red and green rectangles."""
    folder = tmp_path_factory.mktemp("objects")
    write_objects(folder, "train", 8, seed=1)
    write_objects(folder, "val", 4, seed=2)
    return folder


@pytest.fixture(scope="session")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The ``model`` section of a tiny RT-DETR, YOLOS and DETR, with heads for five classes."""
    import torch
    from transformers import (
        AutoModelForObjectDetection,
        DetrConfig,
        DetrImageProcessor,
        ResNetConfig,
        RTDetrConfig,
        RTDetrImageProcessor,
        RTDetrResNetConfig,
        YolosConfig,
        YolosImageProcessor,
        set_seed,
    )

    stages = {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "embedding_size": 16, "layer_type": "basic"}
    edges = {"shortest_edge": 64, "longest_edge": 96}
    small = {"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_queries": 20, "decoder_layers": 2}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    found = {}
    folder = tmp_path_factory.mktemp("detectors")
    for name, settings, processor in (
        (
            "rt_detr",
            RTDetrConfig(
                backbone_config=RTDetrResNetConfig(**stages, out_features=["stage2", "stage3", "stage4"]),
                encoder_hidden_dim=32,
                encoder_in_channels=[16, 32, 32],
                decoder_in_channels=[32, 32, 32],
                num_denoising=4,
                hidden_expansion=0.5,
                num_labels=5,
                **small,
                **heads,
            ),
            RTDetrImageProcessor(size={"height": 64, "width": 64}),
        ),
        (
            "yolos",
            YolosConfig(
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                image_size=[64, 64],
                patch_size=16,
                num_detection_tokens=10,
                num_labels=5,
            ),
            YolosImageProcessor(size=edges),
        ),
        (
            "detr",
            DetrConfig(
                backbone_config=ResNetConfig(**stages, out_features=["stage4"]),
                use_timm_backbone=False,
                encoder_layers=1,
                num_labels=5,
                **small,
                **heads,
            ),
            DetrImageProcessor(size=edges),
        ),
    ):
        set_seed(0)
        made = AutoModelForObjectDetection.from_config(settings)
        for (
            value
        ) in made.parameters():  # what starts at zero, as deformable attention does, no longer is after pretraining
            if not value.any():
                torch.nn.init.normal_(value, std=0.01)
        made.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
        found[name] = {"path": str(folder / name)}
    return found


@pytest.fixture(scope="session")
def detection(objects: Path, detectors: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "task": {"name": "object_detection", "augmentation": "none"},
        "model": detectors["rt_detr"],
        "dataset": {"path": str(objects)},
        "method": {"name": "full"},
        "training": {"lr": 1e-3, "max_steps": 2, "batch_size": 4, "num_workers": 0},
        "save": "none",
    }


# ---- images with masks ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def segmenters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The ``model`` section of a tiny Mask2Former, MaskFormer and RF-DETR, with heads for five classes."""
    import torch
    from transformers import (
        DetrConfig,
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
        MaskFormerConfig,
        MaskFormerForInstanceSegmentation,
        MaskFormerImageProcessor,
        RfDetrConfig,
        RfDetrDinov2Config,
        RfDetrForInstanceSegmentation,
        RfDetrImageProcessor,
        SwinConfig,
        set_seed,
    )

    edges = {"shortest_edge": 64, "longest_edge": 96}
    swin = SwinConfig(
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 2, 4],
        window_size=4,
        image_size=64,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    found = {}
    folder = tmp_path_factory.mktemp("segmenters")
    for name, kind, settings, processor in (
        (
            "mask2former",
            Mask2FormerForUniversalSegmentation,
            Mask2FormerConfig(
                backbone_config=swin,
                hidden_dim=32,
                feature_size=32,
                mask_feature_size=32,
                encoder_feedforward_dim=64,
                dim_feedforward=64,
                encoder_layers=1,
                decoder_layers=3,
                num_attention_heads=4,
                num_queries=10,
                train_num_points=256,
                num_labels=5,
            ),
            Mask2FormerImageProcessor(size=edges),
        ),
        (
            "maskformer",
            MaskFormerForInstanceSegmentation,
            MaskFormerConfig(
                backbone_config=swin,
                decoder_config=DetrConfig(
                    d_model=32,
                    encoder_layers=1,
                    decoder_layers=2,
                    encoder_ffn_dim=64,
                    decoder_ffn_dim=64,
                    num_queries=10,
                    **heads,
                ),
                fpn_feature_size=32,
                mask_feature_size=32,
                num_labels=5,
            ),
            MaskFormerImageProcessor(size=edges),
        ),
        (
            "rf_detr",
            RfDetrForInstanceSegmentation,
            RfDetrConfig(
                backbone_config=RfDetrDinov2Config(
                    hidden_size=32,
                    num_hidden_layers=2,
                    num_attention_heads=2,
                    image_size=64,
                    patch_size=16,
                    num_register_tokens=0,
                    num_windows=1,
                    out_features=["stage1", "stage2"],
                ),
                d_model=32,
                decoder_ffn_dim=64,
                decoder_layers=2,
                decoder_self_attention_heads=4,
                decoder_cross_attention_heads=4,
                num_queries=10,
                group_detr=2,
                intermediate_size=64,
                num_labels=5,
            ),
            RfDetrImageProcessor(size={"height": 64, "width": 64}),
        ),
    ):
        set_seed(0)
        made = kind(settings)
        for value in made.parameters():  # what starts at zero no longer is after pretraining
            if not value.any():
                torch.nn.init.normal_(value, std=0.01)
        made.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
        found[name] = {"path": str(folder / name)}
    return found


@pytest.fixture(scope="session")
def segmentation(objects: Path, segmenters: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "task": {"name": "instance_segmentation", "augmentation": "none"},
        "model": segmenters["mask2former"],
        "dataset": {"path": str(objects)},
        "method": {"name": "full"},
        "training": {"lr": 1e-3, "max_steps": 2, "batch_size": 4, "num_workers": 0},
        "save": "none",
    }
