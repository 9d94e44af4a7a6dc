"""Options of object detection. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from typing import Literal

from adapt_core.options import Options, option


class ObjectDetectionOptions(Options):
    """How images become the model's input."""

    image_size: int | None = option(
        None,
        gt=0,
        help="Edge in pixels that images are resized to: of a square, or the shorter one where the model's processor "
        "keeps proportions; by default the model's own.",
    )
    augmentation: Literal["none", "light", "standard"] = option(
        "light",
        help="How training images vary, their boxes with them: none; light (brightness, contrast, mirrored or not); "
        "standard (colours, zooming out, crops that keep an overlap: Liu et al. 2015, arXiv:1512.02325).",
    )


class ObjectDetectionPrediction(Options):
    """Options of a prediction."""

    threshold: float = option(0.5, ge=0, le=1, help="Boxes below this score are left out.")
    drawn: str | None = option(
        None, min_length=1, path=True, help="Folder for copies of the images with their boxes drawn."
    )
    format: Literal["images", "coco"] = option(
        "images",
        help="One prediction an image (images), or COCO's results, one an object, which pycocotools' loadRes reads.",
    )
