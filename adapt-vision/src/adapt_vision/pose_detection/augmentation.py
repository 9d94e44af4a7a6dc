"""Random changes of the crops that a model trains on, each a function of (seed, epoch, row) and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from adapt_vision.augmentation import drawn_from

Name = Literal["none", "light", "standard"]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Limits:
    """How far crops vary.

    Attributes:
        scale: by which part the box grows or shrinks.
        rotation: degrees.
        shift: parts of the box's width and height.
    """

    scale: float
    rotation: float
    shift: float


LIMITS: dict[Name, Limits] = {"light": Limits(0.15, 20.0, 0.0), "standard": Limits(0.3, 40.0, 0.16)}
"""``standard`` has the scale and the rotation of Xiao et al. 2018 (arXiv:1804.06208, section 3.1), and the shift that
ViTPose (arXiv:2204.12484) is trained with."""


@dataclass(frozen=True)
class Change:
    """How one crop differs from that of the annotated box.

    Attributes:
        scale: of the box about its centre.
        rotation: degrees by which the crop is turned.
        shift: of the box, as parts of its width and height.
        mirrored: whether left and right change places.
    """

    scale: float = 1.0
    rotation: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    mirrored: bool = False

    def moved(self, box: Box) -> Box:
        """The box, shifted and scaled: left, top, width and height."""
        left, top, width, height = box
        x, y = left + width * (0.5 + self.shift[0]), top + height * (0.5 + self.shift[1])
        width, height = width * self.scale, height * self.scale
        return (x - width / 2, y - height / 2, width, height)


NO_CHANGE = Change()


def drawn_change(name: Name, seed: int, epoch: int, row: int) -> Change:
    """The change of a row in an epoch, uniform within the limits of ``name``."""
    if name == "none":
        return NO_CHANGE
    limits = LIMITS[name]
    with drawn_from(seed, "augmentation", epoch, row):
        scale, rotation, across, down = (2 * torch.rand(4, dtype=torch.float64) - 1).tolist()
        mirrored = bool(torch.rand(()) < 0.5)
    return Change(
        1 + scale * limits.scale, rotation * limits.rotation, (across * limits.shift, down * limits.shift), mirrored
    )
