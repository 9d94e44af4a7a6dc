"""Random changes of training images, each a function of (seed, epoch, row) and of nothing else.

So a resumed run sees the same images as one that was never interrupted, whatever the number of processes that load
data, and no other random number of the run is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from adapt_core.utils.seeds import derived_seed
from adapt_vision.processing import InputForm

Name = Literal["none", "light", "standard", "autoaugment", "randaugment"]

SCALES = {"light": (0.8, 1.0)}
"""The part of an image's area that a random crop keeps; (0.08, 1) elsewhere (Szegedy et al. 2014, arXiv:1409.4842)."""


@contextmanager
def drawn_from(*parts: int | str) -> Iterator[None]:
    """Has torch draw from a seed of its own on the CPU, and goes on afterwards as if nothing had been drawn."""
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(derived_seed(*parts))
    try:
        yield
    finally:
        torch.set_rng_state(before)


def transform_for(name: Name, form: InputForm) -> Any:
    """The random transform from an image to one of the size that the model reads; None for ``none``."""
    if name == "none":
        return None
    interpolation = InterpolationMode(form.interpolation)
    steps: list[Any] = [
        v2.RandomResizedCrop(form.size, SCALES.get(name, (0.08, 1.0)), interpolation=interpolation),
        v2.RandomHorizontalFlip(),
    ]
    if name == "autoaugment":
        steps.append(v2.AutoAugment(interpolation=InterpolationMode.BILINEAR))
    if name == "randaugment":
        steps.append(v2.RandAugment(interpolation=InterpolationMode.BILINEAR))
    return v2.Compose(steps)


def augmented(transform: Any, image: Image.Image, seed: int, epoch: int, row: int) -> Image.Image:
    """What a transform makes of a row in an epoch."""
    with drawn_from(seed, "augmentation", epoch, row):
        changed: Image.Image = transform(image)
    return changed


@dataclass(frozen=True)
class Mixing:
    """How training images are mixed with others.

    Attributes:
        mixup: alpha of mixup, 0 for none.
        cutmix: alpha of CutMix, 0 for none.
    """

    mixup: float
    cutmix: float

    def __bool__(self) -> bool:
        return bool(self.mixup or self.cutmix)

    def partner(self, rows: int, seed: int, epoch: int, row: int) -> int:
        """The row that is mixed into a row."""
        generator = torch.Generator().manual_seed(derived_seed(seed, "partner", epoch, row))
        return int(torch.randint(rows, (), generator=generator))

    def mix(self, one: Tensor, other: Tensor, seed: int, epoch: int, row: int) -> tuple[Tensor, float]:
        """Mixes two images of shape (3, height, width).

        Returns:
            The mixed image, and the share of the first in it: of its values with mixup (equation 1 of
            arXiv:1710.09412), of its area with CutMix (equation 1 of arXiv:1905.04899).
        """
        with drawn_from(seed, "mixing", epoch, row):
            cut = self.cutmix > 0 and (self.mixup == 0 or bool(torch.rand(()) < 0.5))
            alpha = self.cutmix if cut else self.mixup
            share = float(torch.distributions.Beta(alpha, alpha).sample())
            if not cut:
                return share * one + (1 - share) * other, share
            height, width = one.shape[-2:]
            top, left, bottom, right = _patch(height, width, share)
        mixed = one.clone()
        mixed[..., top:bottom, left:right] = other[..., top:bottom, left:right]
        return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _patch(height: int, width: int, share: float) -> tuple[int, int, int, int]:
    """A patch of ``1 - share`` of the area around a random place, cut at the edges: top, left, bottom, right."""
    side = (1 - share) ** 0.5
    y, x = int(torch.randint(height, ())), int(torch.randint(width, ()))
    half_height, half_width = int(height * side) // 2, int(width * side) // 2
    return (
        max(y - half_height, 0),
        max(x - half_width, 0),
        min(y + half_height, height),
        min(x + half_width, width),
    )
