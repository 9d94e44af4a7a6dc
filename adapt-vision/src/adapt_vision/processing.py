"""From images to what a model reads: its own preprocessing, and the same with a random crop for training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Pillow's filters by their names in timm; transformers' processors number them as Pillow does."""


@dataclass(frozen=True)
class InputForm:
    """What a model reads.

    Attributes:
        size: height and width in pixels.
        mean: of each channel, subtracted.
        std: of each channel, divided by afterwards.
        scale: what the values 0 to 255 are multiplied by before.
        interpolation: how images are resized, by timm's name.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1 / 255
    interpolation: str = "bicubic"

    def tensor(self, image: Image.Image) -> Tensor:
        """An image of the right size as a float32 tensor of shape (3, height, width)."""
        pixels = functional.pil_to_tensor(image).to(torch.float32) * self.scale
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        values: Tensor = (pixels - mean) / std
        return values

    def picture(self, values: Tensor) -> Image.Image:
        """The image that a tensor from :meth:`tensor` was made of."""
        mean, std = (torch.tensor(each).view(-1, 1, 1) for each in (self.mean, self.std))
        pixels = ((values * std + mean) / self.scale).round().clamp(0, 255).to(torch.uint8)
        picture: Image.Image = functional.to_pil_image(pixels)
        return picture


@dataclass(frozen=True)
class Processing:
    """A model's preprocessing.

    Attributes:
        form: what the model reads.
        evaluation: from an image in mode ``RGB`` to a float32 tensor of shape (3, height, width), as the library does.
        saved: with ``save_pretrained(folder)``; what becomes the model's processor.
    """

    form: InputForm
    evaluation: Callable[[Image.Image], Tensor]
    saved: Any
