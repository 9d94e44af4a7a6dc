"""Adapt against a hand-written Trainer script on boxes: losses, AP and time of training, in one run.

    python benchmarks/object_detection.py [--repeats 2] [--epochs 240]

Both train a small RT-DETR (0.5 million parameters), built on the spot, on eight images of blood cells at 128 pixels,
with learning rate 1e-3, batch 4. What is measured, and how, is told in ``annotated_images.py``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from annotated_images import compare, write_data
from common import DATA, SEED

EDGE, IMAGES = 128, 8


def write_model(folder: Path) -> None:
    """A small RT-DETR on a residual network, with random weights."""
    from transformers import (
        RTDetrConfig,
        RTDetrForObjectDetection,
        RTDetrImageProcessor,
        RTDetrResNetConfig,
        set_seed,
    )

    backbone = RTDetrResNetConfig(
        hidden_sizes=[16, 16, 32, 32],
        depths=[1] * 4,
        embedding_size=16,
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    set_seed(SEED)
    made = RTDetrForObjectDetection(
        RTDetrConfig(
            backbone_config=backbone,
            encoder_hidden_dim=64,
            encoder_in_channels=[16, 32, 32],
            encoder_ffn_dim=64,
            encoder_attention_heads=4,
            hidden_expansion=0.5,
            d_model=64,
            decoder_in_channels=[64] * 3,
            decoder_ffn_dim=128,
            decoder_layers=3,
            decoder_attention_heads=4,
            num_queries=60,
            num_denoising=20,
            num_labels=3,
        )
    )
    made.save_pretrained(folder)
    RTDetrImageProcessor(size={"height": EDGE, "width": EDGE}).save_pretrained(folder)


if __name__ == "__main__":
    cells = partial(write_data, DATA.parent / "object_detection" / "bccd", count=IMAGES)
    compare("object_detection", {"lr": 1e-3, "batch_size": 4, "epochs": 240}, write_model, cells, ("ap", "ap50"))
