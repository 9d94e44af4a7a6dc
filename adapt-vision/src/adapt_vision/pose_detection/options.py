"""Options of pose detection. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from typing import Literal

from adapt_core.options import Options, option


class PoseDetectionOptions(Options):
    """How the boxes of objects become the model's input, and keypoints its targets."""

    augmentation: Literal["none", "light", "standard"] = option(
        "light",
        help="How training crops vary, their keypoints with them: none; light (mirrored or not, scaled by up to 15 %, "
        "turned by up to 20 degrees); standard (mirrored or not, scaled by up to 30 %, turned by up to 40 degrees: "
        "Xiao et al. 2018, arXiv:1804.06208; and shifted by up to 16 % of the box).",
    )
    sigma: float | None = option(
        None,
        gt=0,
        help="Standard deviation of the Gaussians that heatmaps are trained towards, in pixels of the heatmap; by "
        "default a 32nd of its height: 2 where crops have 256 × 192 pixels (arXiv:1804.06208).",
    )


class PoseDetectionPrediction(Options):
    """Options of a prediction."""

    drawn: str | None = option(
        None, min_length=1, path=True, help="Folder for copies of the images with skeletons drawn."
    )
    threshold: float = option(
        0.3, help="Keypoints with a lower score are not drawn; predictions have all of them, as COCO's results do."
    )
    format: Literal["images", "coco"] = option(
        "images",
        help="One prediction an image (images), or COCO's results, one an object, which pycocotools' loadRes reads.",
    )
