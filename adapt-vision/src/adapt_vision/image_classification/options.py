"""Options of image classification. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from typing import Literal

from adapt_core.options import Options, option


class ImageClassificationOptions(Options):
    """How images become the model's input, and how it learns from them."""

    image_size: int | None = option(
        None, gt=0, help="Side in pixels of the square that the model reads; by default the model's own."
    )
    augmentation: Literal["none", "light", "standard", "autoaugment", "randaugment"] = option(
        "light",
        help="How training images vary: none; light (a random crop of 80 to 100 %, mirrored or not); standard (8 to "
        "100 %, as ImageNet models are trained); autoaugment (Cubuk et al. 2018, arXiv:1805.09501) or randaugment "
        "(Cubuk et al. 2019, arXiv:1909.13719) on top of standard.",
    )
    mixup: float = option(
        0.0,
        ge=0,
        help="Alpha of mixup, which blends each image with another (Zhang et al. 2017, arXiv:1710.09412); 0 is off.",
    )
    cutmix: float = option(
        0.0,
        ge=0,
        help="Alpha of CutMix, which puts a patch of another image in (Yun et al. 2019, arXiv:1905.04899); 0 is off. "
        "With mixup, each image gets one of the two.",
    )
    label_smoothing: float = option(
        0.0, ge=0, lt=1, help="Share of each training target that is spread over all classes."
    )


class ImageClassificationPrediction(Options):
    """Options of a prediction."""

    top: int = option(5, gt=0, help="Classes with their scores, the best first.")
