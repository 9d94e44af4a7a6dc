"""Adapt against a hand-written Trainer script on masks: losses, AP and time of training, in one run.

    python benchmarks/instance_segmentation.py [--repeats 2] [--epochs 300]

Both train a small Mask2Former, built on the spot, on eight images of nuclei at 128 pixels, those with the largest
nuclei, with learning rate 1e-3, batch 8. What is measured, and how, is told in ``annotated_images.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from annotated_images import Annotated, compare, write_data
from common import DATA, SEED

EDGE, IMAGES, MOST = 128, 8, 20


def write_model(folder: Path) -> Path:
    """A small Mask2Former on a residual network, with random weights."""
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
        ResNetConfig,
        set_seed,
    )

    backbone = ResNetConfig(
        hidden_sizes=[32, 32, 64, 64],
        depths=[1] * 4,
        embedding_size=32,
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    set_seed(SEED)
    made = Mask2FormerForUniversalSegmentation(
        Mask2FormerConfig(
            backbone_config=backbone,
            hidden_dim=64,
            feature_size=64,
            mask_feature_size=64,
            encoder_feedforward_dim=128,
            dim_feedforward=128,
            encoder_layers=1,
            decoder_layers=3,
            num_attention_heads=4,
            num_queries=40,
            train_num_points=512,
            num_labels=1,
        )
    )
    made.save_pretrained(folder)
    Mask2FormerImageProcessor(size={"height": EDGE, "width": EDGE}).save_pretrained(folder)
    return folder


def with_large_objects(images: Sequence[Annotated], count: int) -> Sequence[Annotated]:
    """The images whose objects take the most room, among those with a few."""
    few = [each for each in images if 1 <= len(each[1]) <= MOST]
    return sorted(few, key=_room, reverse=True)[:count]


def _room(each: Annotated) -> float:
    image, annotations = each
    return float(sum(one["area"] for one in annotations) / len(annotations) / (image["width"] * image["height"]))


if __name__ == "__main__":
    source = DATA.parent / "instance_segmentation" / "dsb2018_nuclei"
    nuclei = partial(write_data, source, count=IMAGES, choose=with_large_objects)
    same = {"lr": 1e-3, "batch_size": 8, "epochs": 300}
    compare("instance_segmentation", same, write_model, nuclei, ("ap", "ap50"))
