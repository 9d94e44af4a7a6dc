"""Adapt against a hand-written Trainer script on poses: losses, PCK@0.1, AP and time of training, in one run.

    python benchmarks/pose_detection.py [--repeats 2] [--epochs 300]

Both train a small ViTPose (0.2 million parameters), built on the spot, on sixteen images of a mouse in an open field,
in crops of 64 pixels, with learning rate 2e-3, batch 16. What is measured, and how, is told in
``annotated_images.py``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from annotated_images import compare, write_data
from common import DATA, SEED

EDGE, IMAGES = 64, 16


def write_model(folder: Path) -> None:
    """A small ViTPose of COCO's 17 keypoints with random weights."""
    from transformers import (
        VitPoseBackboneConfig,
        VitPoseConfig,
        VitPoseForPoseEstimation,
        VitPoseImageProcessor,
        set_seed,
    )

    backbone = VitPoseBackboneConfig(
        image_size=[EDGE, EDGE],
        patch_size=[8, 8],
        hidden_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        mlp_ratio=2,
        out_indices=[2],
    )
    set_seed(SEED)
    VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=17)).save_pretrained(folder)
    VitPoseImageProcessor(size={"height": EDGE, "width": EDGE}).save_pretrained(folder)


if __name__ == "__main__":
    mice = partial(write_data, DATA.parent / "pose" / "openfield_mouse", count=IMAGES)
    compare("pose_detection", {"lr": 2e-3, "batch_size": 16, "epochs": 300}, write_model, mice, ("ap", "pck"))
