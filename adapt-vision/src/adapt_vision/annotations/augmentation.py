"""Random changes of training images with the boxes in them, each a function of (seed, epoch, row) and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from adapt_vision.annotations.objects import Annotation
from adapt_vision.augmentation import drawn_from

Name = Literal["none", "light", "standard"]


def transform_for(name: Name) -> Any:
    """The random transform of an image and its boxes; None for ``none``.

    ``standard`` is that of SSD (Liu et al. 2015, arXiv:1512.02325, section 2.2).
    """
    if name == "none":
        return None
    if name == "light":
        return v2.Compose([v2.ColorJitter(brightness=0.2, contrast=0.2), v2.RandomHorizontalFlip()])
    steps = [v2.RandomPhotometricDistort(), v2.RandomZoomOut(side_range=(1.0, 2.0)), v2.RandomIoUCrop()]
    return v2.Compose([*steps, v2.RandomHorizontalFlip(), v2.SanitizeBoundingBoxes()])


def augmented(
    transform: Any, image: Image.Image, objects: list[Annotation], seed: int, epoch: int, row: int
) -> tuple[Image.Image, list[Annotation]]:
    """What a transform makes of a row in an epoch. Objects of which too little is left are left out.

    An image that loses all of its objects stays as it is: detectors learn nothing from emptiness that was made.
    """
    boxes = torch.tensor([each.box for each in objects], dtype=torch.float32).reshape(-1, 4)
    sample = {
        "image": image,
        "boxes": tv_tensors.BoundingBoxes(boxes, format="XYWH", canvas_size=(image.height, image.width)),
        "labels": torch.arange(len(objects)),
    }
    with drawn_from(seed, "augmentation", epoch, row):
        changed = transform(sample)
    kept = [
        replace(objects[int(place)], box=tuple(box.tolist()), area=float(box[2] * box[3]))
        for place, box in zip(changed["labels"], changed["boxes"], strict=True)
        if float(box[2]) > 0 and float(box[3]) > 0
    ]
    if objects and not kept:
        return image, objects
    return changed["image"], kept
